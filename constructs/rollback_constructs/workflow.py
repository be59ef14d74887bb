"""The rollback state machine, made from `route.EDGES`: a Task for each step, a Choice after it, a Wait for a loop.

Choose entrance → Admit → Choose after admit → Plan → … → Database → … → Conclude → Choose after conclude → Done
               └→ Emergency → Choose after emergency → Service → …
"""

import json
from typing import Any

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from rollback.domain.request import RollbackType
from rollback.errors import InvalidRequest
from rollback.names import AWAIT_APPROVAL, INVALID_INPUT, OUTAGE_SUFFIX
from rollback.workflow.route import EDGES, ENTRANCES, Step
from rollback_constructs.limits import check_name_length

Definition = dict[str, Any]

UNKNOWN_STEP = "UnknownStep"
INVALID_INPUT_STATE = "Invalid input"
DONE = "Done"
CHOOSE_ENTRANCE = "Choose entrance"
_FUNCTIONS = {
    Step.ADMIT: "DecideFunction",
    Step.EMERGENCY: "ServiceFunction",
    Step.PLAN: "DecideFunction",
    Step.APPROVE: "DecideFunction",
    Step.DATABASE: "DatabaseFunction",
    Step.SERVICE: "ServiceFunction",
    Step.RECONNECT: "DatabaseFunction",
    Step.VERIFY: "ReportFunction",
    Step.CONCLUDE: "ReportFunction",
    Step.DATA_LOSS: "DatabaseFunction",
}
_PARTITION = "${AWS::Partition}"  # differs in China and GovCloud
_EXECUTION_CONTEXT = {
    "execution.$": "$$.Execution.Id",
    "started_at.$": "$$.Execution.StartTime",
    "input.$": "$$.Execution.Input",
}
# Step Functions gets the class names of these errors (`functions.invocation.entry_point`). Conclude retries States.ALL
# except these.
_NOT_RETRIED = {"ErrorEquals": ["InvalidRequest", "CallRefused"], "MaxAttempts": 0}
_INVALID_INPUT_RULE = {"Variable": "$.next", "StringEquals": INVALID_INPUT, "Next": INVALID_INPUT_STATE}
_TRANSIENT = (
    "Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException", "Lambda.TooManyRequestsException", "Lambda.Unknown",
    "Sandbox.Timedout", "Runtime.ExitError", "Throttled", "ExternalServiceError", "Conflict",
)  # fmt: skip


def retries(*errors: str, attempts: int, longest_seconds: int) -> list[Definition]:
    """Retry these errors with backoff and jitter; never retry invalid input and calls that AWS refused."""
    retry = {
        "ErrorEquals": list(errors),
        "IntervalSeconds": 1,
        "BackoffRate": 2,
        "MaxDelaySeconds": longest_seconds,
        "MaxAttempts": attempts,
        "JitterStrategy": "FULL",
    }
    return [_NOT_RETRIED, retry]


def invoke(function: str, payload: Definition, retry: list[Definition], next_state: str) -> Definition:
    """Return a Task whose output is the function's return value."""
    return {
        "Type": "Task",
        "Resource": f"arn:{_PARTITION}:states:::lambda:invoke",
        "Parameters": {"FunctionName": f"${{{function}}}", "Payload": payload},
        "OutputPath": "$.Payload",
        "Retry": retry,
        "Next": next_state,
    }


def transient_retries() -> list[Definition]:
    """Retry errors after which the same call may succeed; crashes too, since steps look before they act.

    The retries outlast an AWS API that fails for two minutes; the lease lasts longer.
    """
    return retries(*_TRANSIENT, attempts=15, longest_seconds=20)


def definition(timeout_minutes: float, *, has_database: bool = False, has_approvals: bool = False) -> Definition:
    """Return the state machine in Amazon States Language (JSONPath), with `${…}` for values of the deployment.

    Args:
        timeout_minutes: limit of an execution.
        has_database: False leaves the database's steps out; Plan refuses rollbacks that need them.
        has_approvals: a decision ends the wait of Approve; False: a timer alone ends it.
    """
    states: Definition = {CHOOSE_ENTRANCE: _choose_entrance()}
    for step, targets in edges(has_database=has_database).items():
        if step is Step.DONE:
            states[DONE] = {"Type": "Succeed"}
            continue
        states[_name(step)] = _task(step)
        states[_choice(step)] = {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.next", "StringEquals": target.value, "Next": _next_rule(step, target)}
                for target in sorted(targets)
            ]
            + ([_INVALID_INPUT_RULE] if step in ENTRANCES else []),
            "Default": UNKNOWN_STEP,
        }
        if step in targets:
            states[f"Wait for {_words(step)}"] = _wait(step)
    if has_approvals:
        states |= _wait_for_decision()
    # Reached only if the function could not stop its execution (`rollback.workflow.unusable_input`).
    states[INVALID_INPUT_STATE] = {"Type": "Fail", "Error": InvalidRequest.__name__, "CausePath": "$.summary"}
    states[UNKNOWN_STEP] = {
        "Type": "Fail",
        "Error": UNKNOWN_STEP,
        "Cause": "a function named a step that this state machine does not have: deploy the stack again",
    }
    return {"StartAt": CHOOSE_ENTRANCE, "TimeoutSeconds": round(timeout_minutes * 60), "States": states}


def edges(*, has_database: bool) -> dict[Step, frozenset[Step]]:
    """Return the route's edges; without a database, those between the other steps."""
    omitted_steps = frozenset() if has_database else frozenset({Step.DATABASE, Step.RECONNECT, Step.DATA_LOSS})
    return {step: targets - omitted_steps for step, targets in EDGES.items() if step not in omitted_steps}


def _choose_entrance() -> Definition:
    """Return the Choice of `route.entrance`.

    A comparison with an absent field would fail the execution, so `IsPresent` comes first.
    """
    request = [
        {"Variable": "$.type", "IsPresent": True},
        {"Variable": "$.type", "StringEquals": RollbackType.EMERGENCY.value},
    ]
    outage = [
        {"Variable": "$.detail.alarmName", "IsPresent": True},
        {"Variable": "$.detail.alarmName", "StringMatches": f"*{OUTAGE_SUFFIX}"},
    ]
    emergency = [{"And": request, "Next": _name(Step.EMERGENCY)}, {"And": outage, "Next": _name(Step.EMERGENCY)}]
    return {"Type": "Choice", "Choices": emergency, "Default": _name(Step.ADMIT)}


def _task(step: Step) -> Definition:
    is_entrance = step in ENTRANCES
    payload = {"step": step.value, **_EXECUTION_CONTEXT} if is_entrance else {"step": step.value, "cursor.$": "$"}
    if step is Step.CONCLUDE:
        return invoke(_FUNCTIONS[step], payload, retries("States.ALL", attempts=20, longest_seconds=60), _choice(step))
    task = invoke(_FUNCTIONS[step], payload, transient_retries(), _choice(step))
    if not is_entrance:  # before, no document may exist; the EventBridge rule on failed executions concludes
        task["Catch"] = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": _name(Step.CONCLUDE)}]
    return task


def _wait(step: Step) -> Definition:
    return {"Type": "Wait", "SecondsPath": "$.wait_seconds", "Next": _name(step)}


def _wait_for_decision() -> Definition:
    """Return the states in which Approve waits: a task token, which a decision ends, and a timer.

    The token only wakes the execution, and the decision is in the ledger. So no error here ends the rollback, and the
    cursor of Approve goes on unchanged. After an error the timer of the second state wakes the execution.
    """
    approve, fallback = Step.APPROVE, "Wait without a token"
    task = {
        "Type": "Task",
        "Resource": f"arn:{_PARTITION}:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {
            "FunctionName": f"${{{_FUNCTIONS[approve]}}}",
            "Payload": {"step": AWAIT_APPROVAL, "cursor.$": "$", "token.$": "$$.Task.Token"},
        },
        "TimeoutSecondsPath": "$.wait_seconds",
        "ResultPath": None,
        "Retry": retries(*_TRANSIENT, attempts=3, longest_seconds=10),
        "Catch": [
            {"ErrorEquals": ["States.Timeout"], "ResultPath": None, "Next": _name(approve)},
            {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": fallback},
        ],
        "Next": _name(approve),
    }
    return {f"Wait for {_words(approve)}": task, fallback: _wait(approve)}


def _next_rule(step: Step, target: Step) -> str:
    return f"Wait for {_words(step)}" if target is step else _name(target)


def _choice(step: Step) -> str:
    return f"Choose after {_words(step)}"


def _words(step: Step) -> str:
    return step.value.replace("_", " ")


def _name(step: Step) -> str:
    return DONE if step is Step.DONE else _words(step).title()


class StateMachine(Construct):
    """Creates a STANDARD state machine (`machine`) with tracing; it logs errors without execution data."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        definition: Definition,
        functions: dict[str, lambda_.Function],
        retain_logs: bool = False,
        log_key: kms.IKey | None = None,
    ) -> None:
        super().__init__(scope, id_)
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/vendedlogs/states/{name}",  # this prefix keeps the account's log policy small
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.RETAIN if retain_logs else RemovalPolicy.DESTROY,
            encryption_key=log_key,
        )
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        arns = [function.function_arn for function in functions.values()]
        role.add_to_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=arns))
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            state_machine_name=check_name_length("state machine", name),
            state_machine_type=sfn.StateMachineType.STANDARD,
            definition_body=sfn.DefinitionBody.from_string(
                json.dumps(definition).replace(_PARTITION, Stack.of(self).partition)
            ),
            definition_substitutions={name: function.function_arn for name, function in functions.items()},
            role=role,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ERROR, include_execution_data=False),
            tracing_enabled=True,
        )
