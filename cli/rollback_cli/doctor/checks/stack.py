"""The rollback stack: deployed, complete, and of the version of this command."""

import json
from collections.abc import Mapping
from typing import Any

from rollback.domain.settings.packed import parse_settings
from rollback.product_version import product_version, shortened
from rollback.workflow.route import EDGES, Step
from rollback_cli.doctor.examination import Examination, question
from rollback_cli.doctor.finding import Finding, Group, Question, Reporter

_GOOD = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
_DATABASE_STEPS = frozenset({Step.DATABASE, Step.RECONNECT, Step.DATA_LOSS})


def stack_questions(x: Examination) -> list[Question]:
    """Ask about the stack's state and version, the state machine, the functions' settings and the ledger."""
    return [
        question(Group.STACK, "stack-is-deployed", lambda report: _state(x, report)),
        question(Group.STACK, "stack-is-of-this-version", lambda report: _version(x, report)),
        question(Group.STACK, "state-machine-is-of-this-version", lambda report: _state_machine(x, report)),
        question(Group.STACK, "functions-have-these-settings", lambda report: _settings(x, report)),
        question(Group.STACK, "ledger-is-active", lambda report: _ledger(x, report)),
    ]


def _state(x: Examination, report: Reporter) -> Finding:
    (stack,) = x.aws.call("cloudformation", "DescribeStacks", StackName=x.stack_name)["Stacks"]
    status = str(stack["StackStatus"])
    seen = f"{x.stack_name} is {status}"
    if status in _GOOD:
        return report.passed(seen)
    if status.endswith("_IN_PROGRESS"):
        return report.warned(seen, "wait until the deployment has ended, then run the doctor again")
    return report.failed(
        f"{seen}: {stack.get('StackStatusReason') or 'no reason is given'}", f"run `cdk deploy {x.stack_name}` again"
    )


def _version(x: Examination, report: Reporter) -> Finding:
    """Compare the version of the stack with the command's. Another one may work, and was never tried together."""
    own, deployed = product_version(), x.deployment.version
    if deployed == own:
        return report.passed(f"stack and command are both {shortened(own)}")
    seen = (
        f"the command is {shortened(own)}, and the stack was deployed by {shortened(deployed)}"
        if deployed is not None
        else f"the command is {shortened(own)}, and the stack does not name the version that deployed it"
    )
    return report.warned(
        seen, f"use the command of the stack's version, or deploy this one: `cdk deploy {x.stack_name}`"
    )


def _state_machine(x: Examination, report: Reporter) -> Finding:
    """Compare the steps of the deployed state machine with those of this version's route."""
    answer = x.aws.call("stepfunctions", "DescribeStateMachine", stateMachineArn=x.deployment.workflow_arn)
    deployed = _edges_of(json.loads(answer["definition"]))
    omitted = frozenset() if x.settings.database is not None else _DATABASE_STEPS
    expected = {
        step.value: {target.value for target in targets - omitted}
        for step, targets in EDGES.items()
        if step not in omitted and step is not Step.DONE
    }
    different = sorted(step for step in {*expected, *deployed} if expected.get(step) != deployed.get(step))
    if not different:
        return report.passed(f"{len(expected)} steps with their successors are those of this version")
    seen = f"other successors than in this version's route: {', '.join(different)}"
    return report.failed(seen, f"deploy the stack with this version: `cdk deploy {x.stack_name}`")


def _edges_of(definition: Mapping[str, Any]) -> dict[str, set[str]]:
    """Map each step to the steps that may follow it, as the Choice behind its Task has them.

    A choice of a Fail state is no step: it ends an execution whose input is not valid.
    """
    edges, states = {}, definition["States"]
    for state in states.values():
        payload = state.get("Parameters", {}).get("Payload", {})
        choice = states.get(state.get("Next", ""), {})
        if state.get("Type") == "Task" and "step" in payload and choice.get("Type") == "Choice":
            edges[str(payload["step"])] = {
                str(rule.get("StringEquals"))
                for rule in choice["Choices"]
                if states.get(rule.get("Next"), {}).get("Type") != "Fail"
            }
    return edges


def _settings(x: Examination, report: Reporter) -> Finding:
    """Compare the settings that the functions read with the stack's output: a change by hand touches one of them."""
    expected = x.settings.model_dump(mode="json")
    problems = []
    for name in x.functions:
        variables = x.function_variables(name)
        try:
            actual = parse_settings(variables.get("ROLLBACK_SETTINGS", "")).model_dump(mode="json")
        except ValueError:
            problems.append(f"{name} has settings that this version can't read")
            continue
        if actual != expected:
            changed = sorted(key for key in expected if expected[key] != actual.get(key))
            problems.append(f"{name} has other settings: {', '.join(changed)}")
    return report.judged(
        problems,
        f"all {len(x.functions)} functions have the stack's settings",
        f"run `cdk deploy {x.stack_name}` again",
    )


def _ledger(x: Examination, report: Reporter) -> Finding:
    table = x.aws.call("dynamodb", "DescribeTable", TableName=x.deployment.ledger_table)["Table"]
    backups = x.aws.call("dynamodb", "DescribeContinuousBackups", TableName=x.deployment.ledger_table)
    recovery = backups["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if table["TableStatus"] not in ("ACTIVE", "UPDATING"):
        seen = f"the ledger {x.deployment.ledger_table} is {table['TableStatus']}"
        return report.failed(seen, f"run `cdk deploy {x.stack_name}` again, or restore the table from its backup")
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        seen = f"{x.deployment.ledger_table} is ACTIVE, without point-in-time recovery"
        return report.warned(seen, "switch point-in-time recovery on, or deploy the stack again")
    return report.passed(f"{x.deployment.ledger_table} is ACTIVE, with point-in-time recovery")
