"""Roles that jobs of GitHub Actions assume by OpenID Connect: no job has a key that lasts.

A role trusts one repository and one of its environments, which GitHub puts into the token's `sub`. The environment's
protection rules decide which branches and persons get a job there. Each role may do what the commands of its workflow
call; `tests/constructs/pipelines` compares the grants with the calls.
"""

from collections.abc import Iterable
from itertools import chain

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct
from pydantic import BaseModel, ConfigDict, Field

from rollback_constructs.functions.access import Grant
from rollback_constructs.pipelines.command_grants import CommandGrants

# GitHub Docs, "Configuring OpenID Connect in Amazon Web Services": the provider's URL and its audience.
ISSUER, AUDIENCE = "token.actions.githubusercontent.com", "sts.amazonaws.com"
_SESSION_HOURS = 6  # the longest job: a rollback may wait for an approval, and its job watches


class GitHubActionsSettings(BaseModel):
    """Settings of the roles of GitHub Actions; the repository may be another one than that of the reports."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*(@\d+)?/[A-Za-z0-9._-]+(@\d+)?$",
        description="owner/name as the token's `sub` has it; with immutable subjects owner@ID/name@ID",
    )
    creates_oidc_provider: bool = Field(
        default=False,
        description="create GitHub's identity provider in IAM; an account has one, which another stack may have made",
    )
    session_names_are_logins: bool = Field(
        default=False,
        description="demand that the session of a job has the GitHub login of its person as its name",
    )

    def subject(self, environment: str) -> str:
        """Return the `sub` of a job in one of the repository's environments.

        Source: GitHub Docs, "OpenID Connect reference", the subject of a job that references an environment.
        """
        return f"repo:{self.repository}:environment:{environment}"


class GitHubActionsRoles(Construct):
    """A role for `rollback.yml` and `drill.yml`, one for `approve.yml` where decisions are taken, one for `deploy.yml`.

    Attributes:
        rollback: starts rollbacks and drills, and reads their reports; of the GitHub environment `<environment>`.
        approve: decides about waiting rollbacks; of `<environment>-approval`, which has reviewers of its own.
        deploy: deploys an image, checks the deployment and starts its rollback; of `<environment>`.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        github: GitHubActionsSettings,
        environment: str,
        commands: CommandGrants,
    ) -> None:
        super().__init__(scope, id_)
        self._github = github
        self._provider_arn = self._provider()
        self.rollback = self._role(
            "Rollback",
            environment,
            "starts rollbacks and drills",
            chain(commands.report(), commands.start(), commands.notes()),
        )
        decides = commands.approve()
        self.approve = (
            self._role(
                "Approve",
                f"{environment}-approval",
                "decides about waiting rollbacks",
                [*commands.report(), *decides],
            )
            if decides
            else None
        )
        self.deploy = self._role(
            "Deploy",
            environment,
            "deploys, checks deployments and starts their rollbacks",
            chain(
                commands.report(),
                commands.start(),
                commands.notes(),
                commands.deploy(),
                commands.verify(),
                commands.checkpoint(),
            ),
        )

    def _provider(self) -> str:
        if self._github.creates_oidc_provider:
            provider = iam.CfnOIDCProvider(self, "Provider", url=f"https://{ISSUER}", client_id_list=[AUDIENCE])
            return provider.attr_arn
        return Stack.of(self).format_arn(
            service="iam", region="", resource="oidc-provider", resource_name=ISSUER
        )  # fmt: skip

    def _role(self, name: str, environment: str, does: str, grants: Iterable[Grant]) -> iam.Role:
        subject = {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": self._github.subject(environment)}
        login = {"sts:RoleSessionName": f"${{{ISSUER}:actor}}"} if self._github.session_names_are_logins else {}
        role = iam.Role(
            self,
            f"{name}Role",
            assumed_by=iam.WebIdentityPrincipal(self._provider_arn, {"StringEquals": {**subject, **login}}),
            description=f"Jobs in {self._github.repository}, environment {environment}: {does}",
            max_session_duration=Duration.hours(_SESSION_HOURS),
        )
        for statement in chain.from_iterable(grants):
            role.add_to_policy(statement)
        CfnOutput(Stack.of(self), f"GitHub{name}RoleArn", value=role.role_arn)
        return role
