"""Roles of GitHub Actions: whom they trust, and that they may do what their workflow's commands call, nothing else."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from constructs.conftest import DATABASES, resources
from constructs.test_access import actions
from github_runner.runner import ROOT
from static_analysis.aws_actions import DEPENDENT_ACTIONS, actions_of, actions_of_parts
from static_analysis.call_graph import LAMBDAS, CallGraph

from local_cloud.iam.policies import allows
from rollback_constructs.settings.environment import Configuration, InvalidSettings, merge
from stacks.assembly import build, project_context

Template = dict[str, Any]
STACK = "MacroAiProductionRollbackStack"
REPOSITORY = "macro-ai/shop"
ISSUER = "token.actions.githubusercontent.com"
ROLES = ("Rollback", "Approve", "Deploy")
_VERBS = "rollback_cli.verbs"
# Commands in the `run` blocks of each role's workflows, and the functions that carry them out.
COMMANDS = {
    "Rollback": {
        "rollback start": f"{_VERBS}.rollbacks.start.start",
        "rollback drill": f"{_VERBS}.rollbacks.drill.drill",
        "rollback report": f"{_VERBS}.rollbacks.report.report",
    },
    "Approve": {
        'rollback "$DECISION"': f"{_VERBS}.rollbacks.approve.approve",
        "rollback report": f"{_VERBS}.rollbacks.report.report",
    },
    "Deploy": {
        "rollback check-deploy": f"{_VERBS}.releases.check_deploy.check_deploy",
        "rollback checkpoint": f"{_VERBS}.releases.checkpoint.checkpoint",
        "rollback-deploy-image": "rollback_cli.github_actions.deploy_image.deploy_image",
        "rollback verify": f"{_VERBS}.rollbacks.verify.verify",
        "rollback report": f"{_VERBS}.rollbacks.report.report",
    },
}
WORKFLOWS = {"Rollback": ("rollback", "drill"), "Approve": ("approve",), "Deploy": ("deploy",)}
# Functions of options that no workflow gives: --direct, with or without --no-ledger, and --smoke.
NOT_CALLED = (
    "rollback_cli.direct.follow.follow_directly",
    "rollback_cli.direct.start_without_ledger.start_without_ledger",
    "rollback_cli.direct.approval.decide_in_process",
    "rollback.verification.checks.smoke.run_smoke",
)
# Every role may be asked for its caller; IAM needs no permission for that, and the proof of identity is sent by us.
WITHOUT_PERMISSION = {"sts:GetCallerIdentity"}


def context(**environment: Any) -> dict[str, Any]:
    """Context of production with a database, approvals and the roles."""
    environments = project_context()["environments"]
    settings = {
        "database": DATABASES["production"],
        "github_actions": {"repository": REPOSITORY},
        "services": [{"commit_from": "label:org.opencontainers.image.revision"}],
        **environment,
    }
    return {
        "rollback:environments": "production",
        "environments": {**environments, "production": merge(environments["production"], settings)},
    }


def synthesise(folder: Path, **environment: Any) -> Template:
    build(folder, {"aws:cdk:bundling-stacks": [], **context(**environment)}, validate=False, review=True).synth()
    template: Template = json.loads((folder / f"{STACK}.template.json").read_text())
    return template


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Template of production; cdk-nag's rules hold for the roles too."""
    return synthesise(tmp_path_factory.mktemp("github"))


def filled_in(value: Any) -> Any:
    """Put plain texts in place of CloudFormation's functions."""
    match value:
        case {"Ref": str() as name}:
            return {"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012"}.get(
                name, name
            )
        case {"Fn::GetAtt": [str() as name, _]}:
            return f"arn:aws:any:eu-west-1:123456789012:{name}"
        case {"Fn::Join": [str() as sign, list() as parts]}:
            return sign.join(filled_in(part) for part in parts)
        case {"Fn::ImportValue": _} | {"Fn::Sub": _}:
            return "arn:aws:any:eu-west-1:123456789012:imported"
        case dict():
            return {name: filled_in(inner) for name, inner in value.items()}
        case list():
            return [filled_in(inner) for inner in value]
    return value


def with_names(value: Any, names: Mapping[str, str]) -> Any:
    """Put the names of functions in place of references to them."""
    match value:
        case {"Ref": str() as name} if name in names:
            return names[name]
        case dict():
            return {name: with_names(inner, names) for name, inner in value.items()}
        case list():
            return [with_names(inner, names) for inner in value]
    return value


def trust(template: Template, role: str) -> dict[str, Any]:
    (found,) = (
        resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role" and name.startswith(f"GitHubActions{role}Role")
    )
    document: dict[str, Any] = filled_in(found["AssumeRolePolicyDocument"])
    return document


def policies(template: Template, role: str) -> list[dict[str, Any]]:
    names = {
        name: resource["Properties"]["FunctionName"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Function" and "FunctionName" in resource["Properties"]
    }
    found = [
        filled_in(with_names(resource["Properties"]["PolicyDocument"], names))
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::IAM::Policy" and name.startswith(f"GitHubActions{role}Role")
    ]
    assert found
    return found


def granted(template: Template, role: str) -> set[str]:
    return set().union(*(actions(s) for document in policies(template, role) for s in document["Statement"]))


@cache
def graph() -> CallGraph:
    return CallGraph(LAMBDAS, ROOT / "cli" / "rollback_cli")


def calls_of(entry: str) -> dict[str, str]:
    """Map each IAM action that a command needs to the place of a call."""
    found: dict[str, str] = {}
    for name in graph().reach(entry, without=NOT_CALLED):
        body = graph().body(name, frozenset())
        needs = {action: call.site for call in body.aws for action in actions_of(call.service, call.method)}
        module, _, node = graph().functions[name]
        if module.startswith("rollback.adapters.ledger."):
            needs |= dict.fromkeys(actions_of_parts(body.transaction_parts), graph().site(module, node))
        for action, site in needs.items():
            for required in (action, *DEPENDENT_ACTIONS.get(action, ())):
                found.setdefault(required, site)
    return found


def calls(role: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in COMMANDS[role].values():
        found |= calls_of(entry)
    return {action: site for action, site in found.items() if action not in WITHOUT_PERMISSION}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_its_commands_call_and_nothing_else(role: str, template: Template) -> None:
    called, allowed = calls(role), granted(template, role)
    assert {action: site for action, site in called.items() if action not in allowed} == {}
    assert allowed - set(called) == set()


@pytest.mark.parametrize("role", ROLES)
def test_the_commands_of_a_role_are_those_of_its_workflows(role: str) -> None:
    blocks = "\n".join((ROOT / ".github" / "workflows" / f"{name}.yml").read_text() for name in WORKFLOWS[role])
    used = set(
        re.findall(r'^[^#\n]*?(rollback(?:-[a-z]+)* (?:[a-z-]+|"\$DECISION")) "\$ENVIRONMENT"', blocks, re.MULTILINE)
    )
    used |= set(re.findall(r'(rollback-[a-z-]+) "\$ENVIRONMENT"', blocks))
    assert used == set(COMMANDS[role])
    assert "--direct" not in blocks
    assert "--smoke" not in blocks


def test_the_functions_of_options_that_no_workflow_gives_exist() -> None:
    assert set(NOT_CALLED) <= set(graph().functions)


def test_the_call_graph_sees_the_calls_of_the_command_line() -> None:
    """A call that the graph misses would need no grant: boto3 without annotations, the ledger, and a port."""
    start, decide = (
        calls_of(COMMANDS["Rollback"]["rollback start"]),
        calls_of(COMMANDS["Approve"]['rollback "$DECISION"']),
    )
    assert {"states:StartExecution", "states:DescribeExecution", "cloudformation:DescribeStacks"} <= set(start)
    assert "lambda:InvokeFunction" in decide
    assert "ecs:UpdateService" in calls_of(COMMANDS["Deploy"]["rollback-deploy-image"])
    assert "ecs:UpdateService" not in calls_of(COMMANDS["Deploy"]["rollback verify"])
    assert "ecs:UpdateService" in {
        action
        for name in graph().reach(COMMANDS["Rollback"]["rollback start"], graph().steps)
        for call in graph().body(name, frozenset(graph().steps)).aws
        for action in actions_of(call.service, call.method)
    }, "with --direct the command itself updates the service; so leaving that option out is no empty statement"


def token(**claims: str) -> dict[str, list[str]]:
    """Condition keys of AssumeRoleWithWebIdentity with a token of GitHub's."""
    keys = {f"{ISSUER}:{name}": [value] for name, value in claims.items() if name != "session"}
    return {**keys, "sts:rolesessionname": [claims.get("session", "alice")]}


def may_assume(document: Mapping[str, Any], **claims: str) -> bool:
    statements = [{**statement, "Resource": "*"} for statement in document["Statement"]]
    return allows([{"Statement": statements}], "sts:AssumeRoleWithWebIdentity", "any", token(**claims))


@pytest.mark.parametrize(
    ("role", "environment"), [("Rollback", "production"), ("Deploy", "production"), ("Approve", "production-approval")]
)
def test_a_role_trusts_its_repository_and_its_environment_alone(
    role: str, environment: str, template: Template
) -> None:
    document, audience = trust(template, role), "sts.amazonaws.com"
    (statement,) = document["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"}
    own = f"repo:{REPOSITORY}:environment:{environment}"
    assert may_assume(document, sub=own, aud=audience)
    for stranger in (
        f"repo:{REPOSITORY}:environment:staging",
        f"repo:{REPOSITORY}:environment:{'production' if role == 'Approve' else 'production-approval'}",
        f"repo:{REPOSITORY}:environment:{environment}-2",
        f"repo:{REPOSITORY}:ref:refs/heads/main",
        f"repo:{REPOSITORY}:pull_request",
        f"repo:{REPOSITORY}-fork:environment:{environment}",
        f"repo:mallory/shop:environment:{environment}",
        f"repo:MACRO-AI/shop:environment:{environment}",
        "",
    ):
        assert not may_assume(document, sub=stranger, aud=audience), stranger
    assert not may_assume(document, sub=own, aud="https://github.com/macro-ai")
    assert not may_assume(document, sub=own)
    assert not may_assume(document, aud=audience)


TABLE, APPROVE = "LedgerTable", "macro-ai-production-rollback-approve"
_ECS = "arn:aws:ecs:eu-west-1:123456789012"
_SERVICE = f"{_ECS}:service/macro-ai-production-cluster/macro-ai-production-service"
_MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:macro-ai-production-rollback"
_FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:"


def table_arn(template: Template) -> str:
    (name,) = (n for n, resource in template["Resources"].items() if resource["Type"] == "AWS::DynamoDB::GlobalTable"
               or resource["Type"] == "AWS::DynamoDB::Table")  # fmt: skip
    return f"arn:aws:any:eu-west-1:123456789012:{name}"


def may(template: Template, role: str, action: str, resource: str, **keys: str) -> bool:
    conditions = {name.replace("__", ":").lower(): [value] for name, value in keys.items()}
    return allows(policies(template, role), action, resource, conditions)


def test_what_each_role_may_change(template: Template) -> None:
    """Evaluate the policies; the sets at the end are the whole difference between the roles."""
    changes: dict[str, tuple[str, str, dict[str, str]]] = {
        "start": ("states:StartExecution", _MACHINE, {}),
        "start promotion": ("states:StartExecution", _MACHINE.replace("-rollback", "-promotion"), {}),
        "stop": ("states:StopExecution", _MACHINE.replace("stateMachine", "execution") + ":one", {}),
        "decide": ("lambda:InvokeFunction", f"{_FUNCTION}{APPROVE}", {}),
        "invoke a step": ("lambda:InvokeFunction", f"{_FUNCTION}macro-ai-production-rollback-service", {}),
        "update the service": ("ecs:UpdateService", _SERVICE, {}),
        "update another service": ("ecs:UpdateService", _SERVICE.replace("-service", "-other"), {}),
        "pass another role": ("iam:PassRole", "arn:aws:iam::123456789012:role/Admin",
                              {"iam__PassedToService": "ecs-tasks.amazonaws.com"}),
        "write a release": ("dynamodb:PutItem", table_arn(template), {"dynamodb__LeadingKeys": "SERVICE#express-api"}),
        "write a decision": ("dynamodb:PutItem", table_arn(template), {"dynamodb__LeadingKeys": "APPROVAL#1"}),
        "write without a key": ("dynamodb:PutItem", table_arn(template), {}),
        "write a restore point": ("dynamodb:PutItem", table_arn(template), {"dynamodb__LeadingKeys": "BRANCH#p#b"}),
        "note an unreadable item": ("dynamodb:PutItem", table_arn(template), {"dynamodb__LeadingKeys": "UNREADABLE"}),
        "delete an item": ("dynamodb:DeleteItem", table_arn(template), {"dynamodb__LeadingKeys": "UNREADABLE"}),
        "read the Neon key": ("secretsmanager:GetSecretValue", DATABASES["production"]["api_key_secret_arn"], {}),
        "read the database's address": (
            "secretsmanager:GetSecretValue", DATABASES["production"]["connection_secret_arn"], {}),
    }  # fmt: skip
    allowed = {
        role: {name for name, (action, arn, keys) in changes.items() if may(template, role, action, arn, **keys)}
        for role in ROLES
    }
    assert allowed == {
        "Rollback": {"start", "note an unreadable item"},
        "Approve": {"decide"},
        "Deploy": {
            "start", "note an unreadable item", "update the service", "write a restore point", "read the Neon key",
        },
    }  # fmt: skip


def test_without_the_setting_there_is_no_role(templates: dict[str, Template]) -> None:
    for name, plain in templates.items():
        assert not [one for one in plain["Resources"] if one.startswith("GitHubActions")], name
        assert not resources(plain, "AWS::IAM::OIDCProvider"), name


def test_the_roles_arns_are_outputs(template: Template) -> None:
    assert {name for name in template["Outputs"] if name.startswith("GitHub")} == {
        f"GitHub{role}RoleArn" for role in ROLES
    }


def test_where_nothing_waits_for_an_approval_no_role_decides(tmp_path: Path) -> None:
    plain = synthesise(tmp_path, approval={"required_for": []})
    assert "GitHubApproveRoleArn" not in plain["Outputs"]
    assert "GitHubDeployRoleArn" in plain["Outputs"]


def test_a_provider_and_logins_as_session_names_are_settings(tmp_path: Path) -> None:
    github = {"repository": "macro-ai@1/shop@2", "creates_oidc_provider": True, "session_names_are_logins": True}
    made = synthesise(tmp_path, github_actions=github)
    (provider,) = resources(made, "AWS::IAM::OIDCProvider")
    assert provider == {"Url": f"https://{ISSUER}", "ClientIdList": ["sts.amazonaws.com"]}
    document = trust(made, "Approve")
    own = {"sub": "repo:macro-ai@1/shop@2:environment:production-approval", "aud": "sts.amazonaws.com"}
    assert may_assume(document, **own, actor="alice", session="alice")
    assert not may_assume(document, **own, actor="alice", session="bob")
    assert not may_assume(document, **own, session="bob")


@pytest.mark.parametrize(
    "repository", ["shop", "macro-ai/", "https://github.com/macro-ai/shop", "macro-ai/*", "*/shop"]
)
def test_a_repository_that_is_no_name_is_refused(repository: str) -> None:
    with pytest.raises(InvalidSettings, match=r"github_actions\.repository"):
        Configuration.read({**project_context(), **context(github_actions={"repository": repository})})


def test_two_environments_that_create_the_provider_are_refused() -> None:
    github = {"github_actions": {"repository": REPOSITORY, "creates_oidc_provider": True}}
    environments = project_context()["environments"]
    both = {name: merge(environments[name], github) for name in ("production", "staging")}
    with pytest.raises(InvalidSettings, match="true in production, staging; allowed is one of them"):
        Configuration.read({**project_context(), "environments": both})
    assert Configuration.read({**project_context(), "environments": {**environments, "staging": both["staging"]}})
