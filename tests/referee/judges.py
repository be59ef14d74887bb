"""Judges that need the referee's own environment: functions from a question in JSON to an answer in JSON.

The interpreter of `.referee` runs `python judges.py NAME` with the question as standard input.
"""

import json
import sys
from collections.abc import Callable
from typing import Any


def patterns(question: dict[str, Any]) -> list[list[str] | None] | None:
    """List the patterns that match each event, by event-ruler.

    None stands for an event that event-ruler can't read, or for all where it has no wheel for this Python.

    Args:
        question: `patterns`, by name, and `events`, a list.
    """
    try:
        import event_ruler  # noqa: PLC0415
    except ImportError:
        return None

    def matching(event: Any) -> list[str] | None:
        try:
            return sorted(
                name
                for name, pattern in question["patterns"].items()
                if event_ruler.test_event_pattern(json.dumps(event), json.dumps(pattern))
            )
        except RuntimeError:
            return None

    return [matching(event) for event in question["events"]]


def actions(question: list[str]) -> dict[str, Any]:
    """Look up each action in the Service Authorization Reference, by policy-sentry; null: it has no such action.

    Each answer has `resources`, the formats of ARNs that the action can be limited to (`*` alone: it can't), and
    `conditions`, the keys that go with any of these.
    """
    from policy_sentry.querying.actions import get_action_data  # noqa: PLC0415

    answer: dict[str, Any] = {}
    for action in question:
        service, _, name = action.partition(":")
        entries = (get_action_data(service, name) or {}).get(service, [])
        answer[action] = entries and {
            "resources": sorted({entry["resource_arn_format"] for entry in entries}),
            "conditions": sorted({key for entry in entries for key in entry["condition_keys"]}),
        }
    return answer


def evaluations(question: list[dict[str, Any]]) -> list[bool]:
    """Ask MiniStack's evaluator of IAM whether it allows each call.

    Args:
        question: each with `policies`, `action`, `resource` and `context`.
    """
    from ministack.core import iam_evaluator  # noqa: PLC0415

    def allowed(case: dict[str, Any]) -> bool:
        parsed = [iam_evaluator.parse_policy_document(policy) for policy in case["policies"]]
        context = iam_evaluator.EvalContext(
            principal_arn="arn:aws:sts::123456789012:assumed-role/role/session",
            principal_type="AssumedRole",
            principal_account="123456789012",
            action=case["action"],
            resource_arn=case["resource"],
            region="eu-west-1",
            service_context={key.lower(): _single(values) for key, values in case["context"].items()},
        )
        return bool(iam_evaluator.evaluate(context, parsed).decision == "Allow")

    return [allowed(case) for case in question]


def _single(values: list[str]) -> Any:
    """Unwrap a single value: MiniStack takes a key with one value as a text."""
    return values[0] if len(values) == 1 else values


JUDGES: dict[str, Callable[[Any], Any]] = {"patterns": patterns, "actions": actions, "evaluations": evaluations}

if __name__ == "__main__":
    json.dump(JUDGES[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
