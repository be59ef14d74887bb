"""The policy in docs/doctor.md has the permission of every call of the doctor's own."""

import ast
import json
import re
from pathlib import Path

from rollback_cli.doctor.aws_api import permission_of

ROOT = Path(__file__).parents[4]
DOCTOR = ROOT / "cli" / "rollback_cli" / "doctor"


def documented_policy() -> dict[str, object]:
    (block,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "doctor.md").read_text(), re.DOTALL)
    policy: dict[str, object] = json.loads(block)
    return policy


def documented_actions() -> set[str]:
    statements = documented_policy()["Statement"]
    assert isinstance(statements, list)
    listed = [action if isinstance(action, list) else [action] for action in (s["Action"] for s in statements)]
    return {action for actions in listed for action in actions}


def called_actions() -> set[str]:
    """Collect the literal service and operation of each `call` and `items` in the package."""
    actions = set()
    for file in sorted(DOCTOR.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("call", "items")
            ):
                literals = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
                if len(literals) >= 2:
                    actions.add(permission_of(str(literals[0]), str(literals[1])))
    return actions


def test_every_call_of_the_doctor_is_documented() -> None:
    called = called_actions()
    assert len(called) > 15
    assert called <= documented_actions()


def test_the_documented_policy_changes_nothing_but_the_test_event() -> None:
    reading = ("Get", "List", "Describe", "Query", "Simulate")
    changing = {action for action in documented_actions() if not action.split(":")[1].startswith(reading)}
    assert changing == {"events:PutEvents"}
