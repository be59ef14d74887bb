"""Send a decision about a waiting rollback to the function `approve`, with a proof of the operator's identity."""

import json
from typing import Any

import typer

from rollback.adapters.aws.errors import aws_call
from rollback.approval.answer import DECISIONS
from rollback.domain.approval.identity_proof import PROOF, purpose_of_decision
from rollback.domain.operator import Operator
from rollback.domain.rollback import Rollback, service_of
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback.ports.all_ports import AllPorts
from rollback.reports.approval import approval_message
from rollback_cli import deployed_stack
from rollback_cli.direct.approval import decide_in_process
from rollback_cli.display import print_report
from rollback_cli.operator_options import make_operator
from rollback_cli.shell import aws_session
from rollback_cli.sign_proof import sign_proof
from rollback_cli.terminal_text import make_console, print_paragraph


def send_decision(environment: str, rollback_id: str, decision: str, reason: str, *, in_process: bool = False) -> None:
    """Show the plan and what is approved, send the decision, and print the answer.

    Args:
        environment: name of the environment, such as `production`.
        rollback_id: the waiting rollback.
        decision: `approve` or `reject`.
        reason: the operator's reason, for the record.
        in_process: store the decision from this process, without the function.

    Raises:
        InvalidRequest: the reason is empty, the decision does not count, or the ledger has no such rollback; nothing
            was sent.
        ExternalServiceError: the function gave no answer; the decision may be stored.
    """
    operator = make_operator(reason)
    deployment = deployed_stack.find_deployment(environment)
    function = deployment.approve_function
    if function is None and not in_process:
        raise InvalidRequest(f"no rollback of {environment} waits for an approval: its setting approval asks for none")
    rollback = _read(deployment, environment, rollback_id)
    _print_plan(rollback, deployment)
    if function is None or in_process:
        _decide_here(rollback, decision, operator, deployment.ports())
        return
    nonce = rollback.approval.nonce if rollback.approval is not None else ""
    purpose = purpose_of_decision(rollback_id, nonce, DECISIONS[decision], operator.reason)
    answer = _invoke(
        function,
        {
            "rollback_id": rollback_id,
            "decision": decision,
            "reason": operator.reason,
            "claimed_name": operator.name,
            PROOF: sign_proof(purpose),
        },
    )
    if not answer.get("ok"):
        error = answer.get("error") or {}
        print_paragraph(f"refused: {error.get('text', 'the function gave no reason')}")
        raise typer.Exit(1)
    print_paragraph(str(answer["text"]))
    if answer.get("problem"):
        print_paragraph(f"The identity is recorded as unverified: {answer['problem']}")


def _decide_here(rollback: Rollback, decision: str, operator: Operator, ports: AllPorts) -> None:
    """Store the decision from this process: its rules and its record are those of the function."""
    gate = rollback.approval
    if gate is None:
        raise InvalidRequest(f"{rollback.id} waits for no approval; nothing was changed")
    result = decide_in_process(rollback, gate, DECISIONS[decision], operator.reason, ports, sign_proof)
    print_paragraph(f"{result}; it goes on as soon as it looks at the ledger, within minutes")


def _print_plan(rollback: Rollback, deployment: deployed_stack.DeployedStack) -> None:
    """Print the facts that the person decides about; for a rollback that waits no more, how it ended."""
    console, gate = make_console(), rollback.approval
    if gate is None or not rollback.is_at_gate:
        print_report(console, rollback, deployment.settings)
        return
    for line in approval_message(rollback, gate).split("\n"):
        print_paragraph(line, console)


def _read(deployment: deployed_stack.DeployedStack, environment: str, rollback_id: str) -> Rollback:
    try:
        return deployment.ports().ledger.read(service_of(rollback_id), rollback_id)
    except KeyError as error:
        raise InvalidRequest(
            f"there is no rollback {rollback_id}; `rollback history {environment}` lists the rollbacks"
        ) from error


def _invoke(function: str, payload: dict[str, Any]) -> dict[str, Any]:
    with aws_call("Invoke", function):
        answer = aws_session.make_client("lambda").invoke(FunctionName=function, Payload=json.dumps(payload).encode())
        body = json.loads(answer["Payload"].read())
    if answer.get("FunctionError") or not isinstance(body, dict):
        text = body.get("errorMessage", "") if isinstance(body, dict) else ""
        raise ExternalServiceError(
            f"function {function} failed: {text}; the decision may be stored: send it again to find out"
        )
    return body
