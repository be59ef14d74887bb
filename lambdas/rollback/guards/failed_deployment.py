"""A failed deployment: whether ECS knows of the one that an event tells of, whether it is new, and what it leaves.

An event alone changes nothing. ECS sends two about one failure where the circuit breaker is on.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from rollback.check import Check
from rollback.domain.ledger_index import AnswerEntry
from rollback.domain.rollback import Outcome, Rollback
from rollback.resources.aws.ecs_service import ENDED_ELSEWHERE, IN_FLIGHT, ROLLING_BACK, DeployedRevision, ServiceView

CHECK_NAME = "deployment-failed"
SAME_FAILURE_WINDOW = timedelta(
    minutes=2
)  # two events about one failure come this close; a deployment fails less often


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
        return _reject_failure(f"{deployment_id} has completed", evidence)
    if named is not None and named.rollout_state == "FAILED":
        return _confirm_failure(f"{deployment_id} has failed", evidence)
    if any(one.rollout_state == "FAILED" for one in view.deployments):
        return _confirm_failure("a deployment of the service has failed", evidence)
    if newest is not None and newest.status in ENDED_ELSEWHERE | ROLLING_BACK:
        return _confirm_failure(f"the newest service deployment is {newest.status}", evidence)
    if newest is not None and newest.status in IN_FLIGHT:
        reason = f"ECS still says that the newest service deployment is {newest.status}; the event is believed"
        return Check.warned(CHECK_NAME, reason, evidence=evidence)
    return _reject_failure("ECS knows of no failed deployment of the service", evidence)


def find_revision_to_replace(
    view: ServiceView, *, failed_id: str | None, by_hand: bool, since: datetime
) -> DeployedRevision:
    """What the service is to be moved away from: what failed, or what PRIMARY runs.

    The id that the event names decides: ECS's other answers may be of another moment. Where it goes, or lately went,
    back by itself, PRIMARY is the old release already, and to step back from that would be one step too many. A person
    who asks after ECS has gone back means what runs.

    Args:
        failed_id: `ecs-svc/…` of the deployment that failed (an event's `deploymentId` is `deployments[].id`); None: no
            event names one.
        since: a service deployment that began before is too old to be what was meant.
    """
    primary, newest = view.primary, view.newest
    if failed_id is not None and failed_id != primary.id:
        return _find_failed_revision(view, failed_id)
    if failed_id is None and newest is not None:
        went_back = not by_hand and newest.status in ENDED_ELSEWHERE and newest.created_at > since
        in_doubt = newest.status in IN_FLIGHT and _may_be_either(view)
        if newest.status in ROLLING_BACK or went_back or in_doubt:
            return newest.target
    return primary.deployed


def _find_failed_revision(view: ServiceView, failed_id: str) -> DeployedRevision:
    """The deployment that is not PRIMARY: the newest service deployment's, unless it is listed with another definition.

    A service deployment has one target, and one that began after the event is judged by `deployment-is-the-latest`.
    """
    listed = next((one for one in view.deployments if one.id == failed_id), None)
    newest = view.newest
    if newest is not None and (listed is None or listed.definition_arn == newest.target_definition_arn):
        return newest.target
    if listed is not None:
        return listed.deployed
    failed = next((one for one in view.deployments if one.rollout_state == "FAILED"), view.primary)
    return failed.deployed


def _may_be_either(view: ServiceView) -> bool:
    """PRIMARY's revision is not known, and one of several: what is being deployed is the last change at least."""
    primary = view.primary
    return primary.revision_arn is None and view.has_revisions_of(primary.definition_arn)


def judge_failure_is_new(rollback: Rollback, answers: Iterable[AnswerEntry], began: datetime | None = None) -> Check:
    """Whether no rollback before this one was asked for by the same failure.

    One that was turned away before it was planned has answered nothing.

    Args:
        answers: those that failed deployments of this service have asked for lately.
        began: of the team's newest deployment. One that began between two events is what the later event tells of.
    """
    name = "failure-is-new"
    first = next((one for one in answers if _is_same_failure(one, rollback, began)), None)
    if first is None:
        return Check.passed(name, "no other event told of this failure")
    reason = f"{first.rollback_id} was asked for by another event about the same failed deployment"
    return Check.failed(name, reason, suppresses=True)


def _is_same_failure(one: AnswerEntry, rollback: Rollback, began: datetime | None) -> bool:
    event = rollback.event
    if event is None or one.event_at is None or abs(event.at - one.event_at) > SAME_FAILURE_WINDOW:
        return False
    if (one.created_at, one.rollback_id) >= (rollback.created_at, rollback.id):
        return False  # of two that see each other only one stands back
    if one.outcome is Outcome.SUPPRESSED and not one.is_decided:
        return False
    if one.deployment_id is not None and event.deployment_id is not None:
        return one.deployment_id == event.deployment_id
    return began is None or not one.event_at < began <= event.at


def _confirm_failure(reason: str, evidence: dict[str, str]) -> Check:
    return Check.passed(CHECK_NAME, reason, evidence=dict(evidence))


def _reject_failure(reason: str, evidence: dict[str, str]) -> Check:
    return Check.failed(CHECK_NAME, f"{reason}: nothing is to be left", evidence=dict(evidence), suppresses=True)
