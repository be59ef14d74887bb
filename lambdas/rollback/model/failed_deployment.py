"""Whether ECS knows of the failed deployment that an event tells of: an event alone changes nothing.

And whether another event has told of it already: ECS sends two about one failure where the circuit breaker is on.
"""

from collections.abc import Iterable
from datetime import timedelta

from rollback.model.check import Check, Verdict
from rollback.model.ledger_index import Answer
from rollback.model.rollback import Outcome, Rollback
from rollback.model.service_view import ENDED_ELSEWHERE, IN_FLIGHT, ROLLING_BACK, ServiceView

CHECK_NAME = "deployment-failed"
SAME_FAILURE = timedelta(minutes=2)  # two events about one failure come this close; a deployment fails less often


def judge_failed_deployment(view: ServiceView, deployment_id: str | None) -> Check:
    """Hold an event against what ECS says now.

    ECS keeps a deployment that failed in the service's `deployments` while it has tasks, with rolloutState FAILED; the
    service's newest service deployment then is stopped, rolling back or rolled back (ECS API reference, Deployment and
    ServiceDeployment). The event may come before either says so: a deployment that is in flight is believed to fail.

    Args:
        deployment_id: `ecs-svc/…` as the event names it; None: the event named none.
    """
    newest = view.newest
    named = next((one for one in view.deployments if one.id == deployment_id), None)
    evidence = {"deployment": deployment_id or "", "newest": newest.status if newest is not None else ""}
    if named is not None and named.rollout_state == "COMPLETED":
        return _gone(f"{deployment_id} has completed", evidence)
    if named is not None and named.rollout_state == "FAILED":
        return _seen(f"{deployment_id} has failed", evidence)
    if any(one.rollout_state == "FAILED" for one in view.deployments):
        return _seen("a deployment of the service has failed", evidence)
    if newest is not None and newest.status in ENDED_ELSEWHERE | ROLLING_BACK:
        return _seen(f"the newest service deployment is {newest.status}", evidence)
    if newest is not None and newest.status in IN_FLIGHT:
        reason = f"ECS still says that the newest service deployment is {newest.status}; the event is believed"
        return Check(name=CHECK_NAME, verdict=Verdict.WARN, reason=reason, evidence=evidence)
    return _gone("ECS knows of no failed deployment of the service", evidence)


def judge_failure_is_new(rollback: Rollback, answers: Iterable[Answer]) -> Check:
    """Whether no rollback before this one was asked for by the same failure.

    One that was turned away before it was planned has answered nothing.

    Args:
        answers: those that failed deployments of this service have asked for lately.
    """
    name = "failure-is-new"
    first = next((one for one in answers if _is_about_the_same(one, rollback)), None)
    if first is None:
        return Check(name=name, verdict=Verdict.PASS, reason="no other event told of this failure")
    reason = f"{first.rollback_id} was asked for by another event about the same failed deployment"
    return Check(name=name, verdict=Verdict.FAIL, reason=reason, suppresses=True)


def _is_about_the_same(one: Answer, rollback: Rollback) -> bool:
    event = rollback.event
    if event is None or one.event_at is None or abs(event.at - one.event_at) > SAME_FAILURE:
        return False
    if (one.created_at, one.rollback_id) >= (rollback.created_at, rollback.id):
        return False  # of two that see each other only one stands back
    if one.outcome is Outcome.SUPPRESSED and not one.is_judged:
        return False
    named = {one.deployment_id, event.deployment_id} - {None}
    return len(named) < 2


def _seen(reason: str, evidence: dict[str, str]) -> Check:
    return Check(name=CHECK_NAME, verdict=Verdict.PASS, reason=reason, evidence=dict(evidence))


def _gone(reason: str, evidence: dict[str, str]) -> Check:
    return Check(
        name=CHECK_NAME, verdict=Verdict.FAIL, reason=f"{reason}: nothing is to be left", evidence=dict(evidence),
        suppresses=True,
    )  # fmt: skip
