"""Roles that jobs of GitHub Actions assume by OpenID Connect: no job has a key that lasts.

A role trusts one repository and one of its environments, which GitHub puts into the token's `sub`. The environment's
protection rules decide which branches and persons get a job there. Each role may do what the commands of its workflow
call; `tests/constructs/pipelines` compares the grants with the calls.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct
from pydantic import BaseModel, ConfigDict, Field

from rollback.domain.settings.environment import Settings
from rollback.names import database_function
from rollback_constructs.functions.access import Access, Grant

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


@dataclass(frozen=True)
class PipelineResources:
    """Names and ARNs of what the commands use.

    Attributes:
        approve_name: name of the function that takes decisions; None where no rollback waits for one.
        report_bucket_arn: bucket of the stored reports; None where reports are not stored.
    """

    table_arn: str
    workflow_name: str
    approve_name: str | None
    report_bucket_arn: str | None


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
        settings: Settings,
        access: Access,
        resources: PipelineResources,
    ) -> None:
        super().__init__(scope, id_)
        self._github, self._access, self._resources, self._settings = github, access, resources, settings
        self._provider_arn = self._provider()
        name = settings.environment
        reads = self._reads_report()
        self.rollback = self._role(
            "Rollback", name, "starts rollbacks and drills", chain(reads, self._starts(), self._notes())
        )
        self.approve = (
            self._role(
                "Approve",
                f"{name}-approval",
                "decides about waiting rollbacks",
                [*reads, access.function_invoke(resources.approve_name)],
            )
            if resources.approve_name is not None
            else None
        )
        self.deploy = self._role(
            "Deploy",
            name,
            "deploys, checks deployments and starts their rollbacks",
            chain(reads, self._starts(), self._notes(), self._deploys(), self._verifies(), self._checkpoints()),
        )

    def _reads_report(self) -> list[Grant]:
        """Return the grants of `rollback report`."""
        resources = self._resources
        return [
            self._access.outputs_read(Stack.of(self).stack_name),
            self._access.ledger_read(resources.table_arn),
            self._access.reports_read(resources.report_bucket_arn),
            self._access.ecs_read(),
            self._access.metrics_read(),
            self._access.target_groups(),
        ]

    def _starts(self) -> list[Grant]:
        """Return the grants of `rollback start`, which looks up the release that it is given by name."""
        workflow = self._resources.workflow_name
        return [
            self._access.execution_start(workflow),
            self._access.execution_read(workflow),
            self._access.ledger_query(self._resources.table_arn),
        ]

    def _notes(self) -> list[Grant]:
        """Return the grant to note an item of the ledger that can't be read."""
        return [self._access.ledger_notes(self._resources.table_arn, "UNREADABLE")]

    def _deploys(self) -> list[Grant]:
        """Return the grants of `rollback-deploy-image`."""
        return [self._access.definition_register(), self._access.service_update()]

    def _verifies(self) -> list[Grant]:
        """Return the grants of `rollback check-deploy` and `rollback verify`."""
        access = self._access
        labels = [access.image_labels()] if self._settings.reads_labels else []
        database = [access.function_invoke(database_function(self._settings.prefix))] if self._settings.database else []
        return [
            access.images_read(),
            *labels,
            access.tasks_read(),
            access.alarm_states(),
            access.target_health(),
            *database,
        ]

    def _checkpoints(self) -> list[Grant]:
        """Return the grants of `rollback checkpoint`, where there is a database."""
        database = self._settings.database
        if database is None:
            return []
        return [
            self._access.secret_read(database.api_key_secret_arn),
            self._access.ledger_notes(self._resources.table_arn, "BRANCH#*"),
        ]

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
