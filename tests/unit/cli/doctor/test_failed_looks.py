"""A look that fails is told as such, concerns its own check alone, and is never a pass."""

import pytest
from faults.scenarios.database_endings import raise_error
from simulations.doctor import healthy_patient

from rollback.check import Verdict
from rollback.errors import ExternalServiceError, UnsupportedService
from rollback_cli.doctor.display import summary
from rollback_cli.doctor.finding import count_verdicts, is_healthy

# Operation that the operator may not call → checks that then know nothing.
OPERATIONS = {
    "GetCallerIdentity": {"credentials-are-of-this-account", "clock-is-right"},
    "DescribeStacks": {"stack-is-deployed"},
    "DescribeTable": {"ledger-is-active"},
    "GetFunctionConfiguration": {"functions-have-these-settings", "decide-may-act", "service-may-act"},
    "SimulatePrincipalPolicy": {"decide-may-act", "workflow-may-run", "rules-may-start-state-machines"},
    "ListRules": {"rule-on-alarm", "rules-match-every-alarm", "rules-may-invoke-report"},
    "ListTargetsByRule": {"rule-on-alarm"},
    "GetQueueUrl": {"dead-letters-are-empty", "failed-invocations-are-empty"},
    "GetQueueAttributes": {"dead-letters-are-empty", "rules-may-use-the-dead-letter-queue"},
    "DescribeStateMachine": {"state-machine-is-of-this-version", "workflow-may-run", "promotion-may-run"},
    "GetPolicy": {"rules-may-invoke-report"},
    "DescribeAlarms": {"alarms-exist", "alarms-watch-this-service", "alarms-are-quiet"},
    "DescribeTargetGroups": {"alarms-watch-this-service"},
    "GetLifecyclePolicy": {"images-stay"},
    "DescribeFileSystems": {"volumes-exist"},
    "ListSubscriptionsByTopic": {"pages-reach-a-person", "reports-reach-a-person"},
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_forbidden_call_is_no_pass_and_names_the_permission(operation: str) -> None:
    patient = healthy_patient()
    patient.account.forbidden.add(operation)
    objections = patient.objections()
    assert OPERATIONS[operation] <= set(objections)
    for finding in objections.values():
        assert finding.verdict is Verdict.SKIPPED
        assert finding.seen.startswith("not looked at: access denied")
        assert f":{operation} on" in finding.to_do
    assert not is_healthy(count_verdicts(objections.values()))


def test_a_service_that_does_not_answer_is_not_looked_at() -> None:
    patient = healthy_patient()
    patient.simulation.ledger.pause = raise_error(ExternalServiceError("DynamoDB did not answer"))  # type: ignore[method-assign]
    finding = patient.objections()["rollbacks-are-not-paused"]
    assert finding.verdict is Verdict.SKIPPED
    assert "DynamoDB did not answer" in finding.seen


def test_a_service_that_is_gone_fails_its_checks() -> None:
    patient = healthy_patient()
    gone = raise_error(UnsupportedService("there is no service"))
    patient.simulation.services.describe = gone  # type: ignore[method-assign]
    assert patient.objections()["service-is-stable"].verdict is Verdict.FAIL


def test_the_summary_counts_each_verdict() -> None:
    patient = healthy_patient()
    assert summary(patient.findings()).endswith(" passed, 0 warnings, 0 failed, 0 not looked at")
    patient.account.forbidden.add("DescribeTable")
    assert summary(patient.findings()).endswith("0 failed, 1 not looked at: a rollback may not work")
