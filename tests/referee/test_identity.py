"""Our evaluator of IAM policies against MiniStack's, on calls with AWS's decisions and on our own roles."""

from typing import Any

import pytest
from referee.calls import CALLS
from referee.emulator import ask
from referee.live import PREFIX, Live

from local_cloud.iam.policies import allows

# Calls that MiniStack's evaluator decides otherwise than AWS.
MINISTACK_DIFFERS: dict[str, str] = {}
OWN = f"arn:aws:ecs:eu-west-1:123456789012:service/{PREFIX}-cluster/{PREFIX}-service"
FORBIDDEN = (
    ("ecs:UpdateService", f"{OWN}-2"),
    ("ecs:DeleteService", OWN),
    ("dynamodb:DeleteTable", f"arn:aws:dynamodb:eu-west-1:123456789012:table/{PREFIX}-rollback-ledger"),
    ("iam:PassRole", "arn:aws:iam::123456789012:role/admin"),
    ("sns:Publish", "arn:aws:sns:eu-west-1:123456789012:another"),
    ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:another-AbCdEf"),
)


@pytest.mark.parametrize("name", CALLS)
def test_our_evaluator_decides_as_iam_does(name: str) -> None:
    call = CALLS[name]
    context = {key.lower(): values for key, values in call.context.items()}
    assert allows(call.policies, call.action, call.resource, context) is call.allowed


def test_ministacks_evaluator_decides_as_iam_does_but_for_known_differences() -> None:
    question = [
        {"policies": c.policies, "action": c.action, "resource": c.resource, "context": c.context}
        for c in CALLS.values()
    ]
    answers = dict(zip(CALLS, ask("evaluations", question), strict=True))
    assert {name for name, call in CALLS.items() if answers[name] is not call.allowed} == set(MINISTACK_DIFFERS)


def test_both_evaluators_forbid_each_function_every_foreign_resource(live: Live) -> None:
    policies = {role: documents for role, documents in live.policies().items() if "Functions" in role}
    assert len(policies) >= 4, policies.keys()
    questions: list[dict[str, Any]] = [
        {"policies": documents, "action": action, "resource": resource, "context": {}}
        for documents in policies.values()
        for action, resource in FORBIDDEN
    ]
    theirs = ask("evaluations", questions)
    own_decisions = [allows(q["policies"], q["action"], q["resource"], {}) for q in questions]
    assert not any(theirs)
    assert not any(own_decisions)
