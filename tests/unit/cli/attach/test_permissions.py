"""The manual names every permission that `rollback init` needs, and no other."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[4]
ATTACH = ROOT / "cli" / "rollback_cli" / "attach"
PREFIXES = {"elbv2": "elasticloadbalancing", "resourcegroupstaggingapi": "tag"}
API = "application-autoscaling"  # a name in the code


def called_permissions() -> set[str]:
    """Collect service and operation of every call, which are neighbours among the arguments."""
    found = set()
    for path in ATTACH.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr not in {"call", "items", "try_call", "try_items"}:
                continue
            words = [str(argument.value) if isinstance(argument, ast.Constant) else API for argument in node.args]
            operations = [
                number for number, word in enumerate(words) if re.fullmatch("(Describe|List|Get)[A-Z][A-Za-z]+", word)
            ]
            found |= {f"{PREFIXES.get(words[n - 1], words[n - 1])}:{words[n]}" for n in operations if n}
    return found


def test_the_manual_names_every_permission_of_init_and_no_other() -> None:
    section = (ROOT / "docs" / "attach.md").read_text().partition("## Permissions of init")[2]
    documented = set(re.findall(r"`([a-z-]+:[A-Z][A-Za-z]+)`", section))
    assert len(documented) > 10
    assert called_permissions() == documented
