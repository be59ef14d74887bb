"""Grants match calls, both ways: a function may do what its code can call, and nothing else.

`call_graph` reads the code; the grants are those of the synthesised templates. Grants without a call are listed here
with a reason. Grants that only some settings bring are checked in the environments that have these settings.
"""

import ast
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack
from constructs.test_access import actions, statements
from static_analysis.aws_actions import DEPENDENT_ACTIONS, NotAnOperation, action_of, actions_of, actions_of_parts
from static_analysis.call_graph import LAMBDAS, CallGraph

from rollback.adapters.aws.errors import _PREFIX_OF
from rollback_constructs.attachment import Attachment
from rollback_constructs.functions.access import Access
from rollback_constructs.functions.functions import PROBING
from rollback_constructs.storage.keys import KeySettings
from rollback_constructs.workflow import _FUNCTIONS as STEPS

Template = dict[str, Any]
FUNCTIONS = ("decide", "service", "report", "promote", "database", "approve")
OPTIONAL = ("database", "approve")  # made where an environment has a database
# Actions that AWS performs with a function's role, though our code doesn't call them.
BY_AWS = {
    "logs:CreateLogStream": "Lambda writes the function's log with its role",
    "logs:PutLogEvents": "as above",
    "xray:PutTraceSegments": "active tracing",
    "xray:PutTelemetryRecords": "active tracing",
}
OF_FAILURES = {"sqs:SendMessage": "Lambda sends an event that the function failed on, with the function's role"}
INVOKED_BY_EVENTS = ("report", "promote", "database")
# Actions for settings that not every environment has.
BY_SETTINGS = {
    "ecr:GetDownloadUrlForLayer": "a label of the image has the commit",
    "ecr:BatchGetImage": "as above; promote tags images everywhere",
    "secretsmanager:GetSecretValue": "a database, or reports to GitHub",
    "secretsmanager:PutSecretValue": "a database's connection secret",
    "lambda:InvokeFunction": "a database",
    "ecs:RunTask": "down_command, a smoke_command, or a command about a connection",
    "ecs:StopTask": "as above",
    "iam:PassRole": "as above; service and promote register definitions everywhere",
    "logs:GetLogEvents": "as for ecs:RunTask",
    "application-autoscaling:DescribeScalingPolicies": "a database; promote checks each service",
    "s3:ListBucket": "environment_file_buckets",
    "kms:Encrypt": "an approval",
    "states:SendTaskSuccess": "as above",
}


@cache
def graph() -> CallGraph:
    return CallGraph()


@dataclass(frozen=True)
class Call:
    """A call that needs an action: its place in the code, and one path of calls that leads there."""

    site: str
    way: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.site} ({' → '.join(name.removeprefix('rollback.') for name in self.way)})"


def entry_point(function: str) -> str:
    """Return the name of the function that `rollback.handlers` gives to Lambda."""
    return f"rollback.functions.{function}.handle"


def steps_of(function: str) -> set[str]:
    """Return the names of the steps that the state machine invokes the function for."""
    return {step.name for step, substitution in STEPS.items() if substitution == f"{function.title()}Function"}


@cache
def reach(function: str) -> dict[str, tuple[str, ...]]:
    return graph().reach(entry_point(function), steps_of(function))


@cache
def called(function: str) -> dict[str, Call]:
    return calls_by_action(graph(), function)


def calls_by_action(graph: CallGraph, function: str) -> dict[str, Call]:
    """Map each IAM action to a call of the function's code that needs it."""
    calls: dict[str, Call] = {}
    for name, way in graph.reach(entry_point(function), steps_of(function)).items():
        body = graph.body(name, frozenset(steps_of(function)))
        needs = {action: call.site for call in body.aws for action in actions_of(call.service, call.method)}
        module, _, node = graph.functions[name]
        if module.startswith("rollback.adapters.ledger."):
            site = graph.site(module, node)
            needs |= dict.fromkeys(actions_of_parts(body.transaction_parts), site)
        for action, site in needs.items():
            for required_action in (action, *DEPENDENT_ACTIONS.get(action, ())):
                calls.setdefault(required_action, Call(site, way))
    return calls


def granted(template: Template, function: str) -> set[str]:
    return set().union(*(actions(statement) for statement in statements(template, function)))


def actions_without_a_call(function: str) -> set[str]:
    return {*BY_AWS, *(OF_FAILURES if function in INVOKED_BY_EVENTS else ())}


def never_called(function: str, granted: Iterable[str], called: dict[str, Call]) -> list[str]:
    return [
        f"{function} is granted {action}, and no code of it calls that: remove access.{access_method(action)} from "
        f"`{function}` in rollback_constructs/functions/functions.py, or give the reason here"
        for action in sorted(set(granted) - set(called) - actions_without_a_call(function))
    ]


def never_granted(function: str, granted: Iterable[str], called: dict[str, Call]) -> list[str]:
    return [
        f"{function} calls {action}, and may not: {called[action]}; add access.{access_method(action)} to "
        f"`{function}` in rollback_constructs/functions/functions.py"
        for action in sorted(set(called) - set(granted))
    ]


@cache
def access_methods() -> dict[str, str]:
    """Map each action to the method of `Access` that grants it."""
    attachment = Attachment(
        name="a", cluster="c", ecs_service="s", load_balancer="app/a/1", target_groups=("targetgroup/a/1",),
        task_role_arns=("arn:aws:iam::123456789012:role/t",), execution_role_arns=(), log_group="/g", repository="r",
        environment_file_buckets=("b",),
    )  # fmt: skip
    key = "arn:aws:kms:eu-west-1:123456789012:key/1"
    access = Access(Stack(App()), (attachment,), ("stack",), KeySettings(ledger=key, topics=key, secrets=(key,)))
    methods: dict[str, str] = {}
    for name in (name for name in vars(Access) if not name.startswith("_") and callable(getattr(Access, name))):
        method: Callable[..., Any] = getattr(access, name)
        for call in (partial(method, "arn:aws:x:::y"), method):
            try:
                granted_statements = call()
            except TypeError:
                continue
            for statement in granted_statements if isinstance(granted_statements, list) else ():
                methods |= dict.fromkeys(statement.actions, name)
            if isinstance(granted_statements, list) and granted_statements:
                break
    return methods


def access_method(action: str) -> str:
    method_name = access_methods().get(action)
    return (
        f"{method_name}(…)" if method_name else f"… (no method of Access grants {action} yet: write one in access.py)"
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_granted_action_is_called_by_the_functions_code(
    function: str, templates: dict[str, Template], database_templates: dict[str, Template]
) -> None:
    for name, template in {**templates, **database_templates}.items():
        if "Rollback" in name and (function not in OPTIONAL or name in database_templates):
            problems = never_called(function, granted(template, function), called(function))
            assert not problems, "\n".join(problems)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_called_action_is_granted(function: str, database_templates: dict[str, Template]) -> None:
    """Production's database has a command and a secret, and staging's images have labels: together these need all."""
    grants = [granted(template, function) for name, template in database_templates.items() if "Rollback" in name]
    problems = never_granted(function, set().union(*grants), called(function))
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name not in OPTIONAL])
def test_only_actions_of_optional_settings_are_missing_in_some_environments(
    function: str, templates: dict[str, Template]
) -> None:
    plain = granted(templates["MacroAiProductionRollbackStack"], function)
    assert set(called(function)) - plain <= set(BY_SETTINGS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_planted_grant_and_a_planted_call_are_both_found(
    function: str, database_templates: dict[str, Template]
) -> None:
    allowed = granted(database_templates["MacroAiProductionRollbackStack"], function) | set(called(function))
    assert not never_called(function, allowed, called(function))
    assert not never_granted(function, allowed, called(function))
    (planted,) = never_called(function, {*allowed, "ecr:BatchDeleteImage"}, called(function))
    assert planted.startswith(f"{function} is granted ecr:BatchDeleteImage, and no code of it calls that")
    for action, call in called(function).items():
        (missing,) = never_granted(function, allowed - {action}, called(function))
        assert missing.startswith(f"{function} calls {action}, and may not: {call.site}")
        assert "add access." in missing
        assert f"access.{access_methods()[action]}(…)" in missing


@pytest.mark.parametrize(
    ("file", "name", "planted", "function", "action"),
    [
        ("verification/step.py", "verify", "ports.images.add_tag('i', 't')", "report", "ecr:PutImage"),
        ("conclusion/step.py", "conclude", "(ports.services.stop_deployment, 1)", "report",
         "ecs:StopServiceDeployment"),
        ("planning/step.py", "plan", "[one.stop_deployment('a') for one in [ports.services]]", "decide",
         "ecs:StopServiceDeployment"),
        ("verification/step.py", "verify", "{'a': ports.services}.get('a').stop_deployment('a')", "report",
         "ecs:StopServiceDeployment"),
        ("promotion/readiness.py", "prepare_standing_plan", "getattr(ports, 'x').stop_deployment('a')", "promote",
         "ecs:StopServiceDeployment"),
    ],
)  # fmt: skip
def test_a_call_planted_in_the_code_is_found(
    file: str, name: str, planted: str, function: str, action: str, tmp_path: Path
) -> None:
    """Cover a port's method, a method that is only named, a port in a loop or a dictionary, and an unknown receiver."""
    shutil.copytree(LAMBDAS, tmp_path / "lambdas", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "lambdas" / "rollback" / file
    code = ast.parse(path.read_text())
    (body,) = (node.body for node in code.body if isinstance(node, ast.FunctionDef) and node.name == name)
    body.insert(1, ast.parse(planted).body[0])
    path.write_text(ast.unparse(code))
    calls = calls_by_action(CallGraph(tmp_path / "lambdas"), function)
    missing = never_granted(function, called(function), calls)
    assert any(
        problem.startswith(f"{function} calls {action}, and may not: lambdas/rollback/adapters/") for problem in missing
    )


def test_the_call_graph_finds_indirect_calls() -> None:
    """Cover a paginator, a stored bound method, a port in a variable, a lambda, and a transaction."""
    assert "cloudwatch:DescribeAlarmHistory" in called("promote")
    assert {"ecr:BatchGetImage", "ecr:PutImage"} <= set(called("promote"))  # images.add_tag
    assert "dynamodb:UpdateItem" in called("decide")
    assert "secretsmanager:GetSecretValue" in called("report")
    assert "secretsmanager:GetSecretValue" not in called("decide")
    assert "dynamodb:ConditionCheckItem" in called("service")
    assert "dynamodb:ConditionCheckItem" in called("promote")
    assert "dynamodb:UpdateItem" not in called("promote")


def test_the_call_graph_finds_every_call_of_an_aws_client() -> None:
    """A call that the graph misses would need no grant; so the names of boto3's methods are searched everywhere."""
    known_methods = {call.method for name in graph().functions for call in graph().body(name, EVERY_STEP).aws}
    operations = {
        method
        for name in graph().functions
        if graph().functions[name][0].startswith("rollback.adapters.")
        for method in graph().attributes(name)
        if any(_is_operation(service, method) for service in SERVICES)
    }
    assert operations - known_methods <= NOT_AWS


def test_an_error_of_every_refused_call_names_the_missing_action() -> None:
    """`adapters.aws.errors` has a table of action prefixes, since AWS's message does not always name the action."""
    for name in graph().functions:
        for call in graph().body(name, EVERY_STEP).aws:
            prefix, operation = action_of(call.service, call.method).split(":")
            assert _PREFIX_OF.get(operation) == prefix, (
                f"add {prefix}: {operation} to failures._OPERATIONS: {call.site}"
            )


EVERY_STEP = frozenset(step.name for step in STEPS)
SERVICES = (
    "ecs", "ecr", "dynamodb", "cloudwatch", "elbv2", "sns", "stepfunctions", "application-autoscaling",
    "secretsmanager", "ssm", "cloudformation", "lambda", "logs", "iam", "s3", "sts", "kms",
)  # fmt: skip
NOT_AWS = {"query", "publish", "sign"}


def _is_operation(service: str, method: str) -> bool:
    try:
        return bool(actions_of(service, method)) or True
    except NotAnOperation:
        return False


def test_the_functions_that_probe_the_service_are_those_placed_in_its_vpc() -> None:
    """With a private load balancer, a probe from outside the VPC finds every release broken."""
    probing = {name for name in FUNCTIONS if "rollback.adapters.http.HttpxHttp.get" in reach(name)}
    assert probing == set(PROBING)


def test_only_the_database_function_runs_sql() -> None:
    assert {
        name for name in FUNCTIONS if any("adapters.postgres.sql.PostgresSql" in callee for callee in reach(name))
    } == {"database"}


@pytest.mark.parametrize(
    ("machine", "functions"),
    [("Workflow", {"Decide", "Service", "Report"}), ("Promotion", {"Promote"})],
)
def test_a_state_machine_may_invoke_the_functions_that_its_states_name_and_no_other(
    machine: str, functions: set[str], templates: dict[str, Template]
) -> None:
    template = templates["MacroAiProductionRollbackStack"]
    (machine_properties,) = (
        r["Properties"]
        for name, r in template["Resources"].items()
        if r["Type"] == "AWS::StepFunctions::StateMachine" and name.startswith(machine)
    )
    function_names = {
        name.removesuffix("Function")
        for name in machine_properties["DefinitionSubstitutions"]
        if name.endswith("Function")
    }
    assert all(f"${{{name}Function}}" in json.dumps(machine_properties["DefinitionString"]) for name in function_names)
    role_statements = _policies(template, f"{machine}Role")
    invoked = {
        reference["Fn::GetAtt"][0]
        for statement in role_statements
        if "lambda:InvokeFunction" in actions(statement)
        for reference in _listed(statement["Resource"])
    }
    assert {name.removeprefix("Functions")[:-8] for name in invoked} == function_names == functions
    other_actions = set().union(*(actions(statement) for statement in role_statements)) - {"lambda:InvokeFunction"}
    assert other_actions <= DELIVERY_AND_TRACING


# AWS documentation of Step Functions, "Using CloudWatch Logs" and "AWS X-Ray": no resource-level permissions.
DELIVERY_AND_TRACING = {
    "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
    "xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
}  # fmt: skip


def test_a_rule_may_start_the_state_machine_that_it_targets_and_do_nothing_else(
    templates: dict[str, Template],
) -> None:
    template = templates["MacroAiProductionRollbackStack"]
    rules = [r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::Events::Rule"]
    starting = [target for rule in rules for target in rule["Targets"] if "RoleArn" in target]
    assert starting
    for target in starting:
        role = target["RoleArn"]["Fn::GetAtt"][0]
        (statement,) = _policies(template, role)
        assert actions(statement) == {"states:StartExecution"}
        assert _listed(statement["Resource"]) == [target["Arn"]]


def _policies(template: Template, role: str) -> list[dict[str, Any]]:
    return [
        statement
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::IAM::Policy"
        and any(reference["Ref"].startswith(role) for reference in resource["Properties"]["Roles"])
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
    ]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
