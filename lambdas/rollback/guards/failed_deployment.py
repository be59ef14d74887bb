"""A failed deployment: whether ECS confirms it, whether its event is new, and which revision is to be replaced.

An event alone changes nothing. ECS sends two events about one failure if the circuit breaker is on.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from rollback.check import Check
from rollback.domain.ledger.index import TriggerResultEntry
from rollback.domain.rollback import Outcome, Rollback
from rollback.resources.aws.ecs_service import ENDED_ELSEWHERE, IN_FLIGHT, ROLLING_BACK, DeployedRevision, ServiceView

CHECK_NAME = "deployment-failed"
SAME_FAILURE_WINDOW = timedelta(minutes=2)  # longest time between two events about one failure


def judge_failed_deployment(view: ServiceView, deployment_id: str | None) -> Check:
    """Check an event against the present state of the service.

    ECS keeps a failed deployment in the service's `deployments` while it has tasks, with rolloutState FAILED. The
    newest service deployment then is stopped, rolling back or rolled back (ECS API reference, Deployment and
    ServiceDeployment). The event may precede both: then a deployment in flight is believed to fail.

    Args:
        view: the service as ECS describes it now.
        deployment_id: `ecs-svc/…` as the event names it; None: the event names no deployment.
    """
    newest = view.newest
    named_deployment = next((deployment for deployment in view.deployments if deployment.id == deployment_id), None)
    evidence = {"deployment": deployment_id or "", "newest": newest.status if newest is not None else ""}
    if named_deployment is not None and named_deployment.rollout_state == "COMPLETED":
        return _reject_failure(f"{deployment_id} has completed", evidence)
    if named_deployment is not None and named_deployment.rollout_state == "FAILED":
        return _confirm_failure(f"{deployment_id} has failed", evidence)
    if any(deployment.rollout_state == "FAILED" for deployment in view.deployments):
        return _confirm_failure("a deployment of the service has failed", evidence)
    if newest is not None and newest.status in ENDED_ELSEWHERE | ROLLING_BACK:
        return _confirm_failure(f"the newest service deployment is {newest.status}", evidence)
    if newest is not None and newest.status in IN_FLIGHT:
        reason = f"ECS still reports the newest service deployment as {newest.status}; the event is believed"
        return Check.warned(CHECK_NAME, reason, evidence=evidence)
    return _reject_failure("ECS knows of no failed deployment of the service", evidence)


def find_revision_to_replace(
    view: ServiceView, *, failed_id: str | None, by_operator: bool, since: datetime
) -> DeployedRevision:
    """The revision that the service is to be moved away from: the failed deployment's, or PRIMARY's.

    The id in the event decides, since ECS's other answers may be of another moment. If ECS is rolling back, or has
    lately rolled back, PRIMARY is the old release already, and a step back from PRIMARY would go one release too far.
    An operator who then requests a rollback means the running release.

    Args:
        view: the service as ECS describes it now.
        failed_id: `ecs-svc/…` of the failed deployment (an event's `deploymentId` is `deployments[].id`); None: no
            event names a deployment.
        by_operator: whether an operator requested the rollback.
        since: an earlier service deployment is too old to be meant.
    """
    primary, newest = view.primary, view.newest
    if failed_id is not None and failed_id != primary.id:
        return _find_failed_revision(view, failed_id)
    if failed_id is None and newest is not None:
        has_rolled_back = not by_operator and newest.status in ENDED_ELSEWHERE and newest.created_at > since
        is_ambiguous = newest.status in IN_FLIGHT and _is_primary_ambiguous(view)
        if newest.status in ROLLING_BACK or has_rolled_back or is_ambiguous:
            return newest.target
    return primary.deployed


def _find_failed_revision(view: ServiceView, failed_id: str) -> DeployedRevision:
    """The revision of a failed deployment that is not PRIMARY.

    It is the target of the newest service deployment, unless ECS lists the failed one with another definition. The
    check `deployment-is-the-latest` judges a service deployment that began after the event.
    """
    listed_deployment = next((deployment for deployment in view.deployments if deployment.id == failed_id), None)
    newest = view.newest
    if newest is not None and (
        listed_deployment is None or listed_deployment.definition_arn == newest.target_definition_arn
    ):
        return newest.target
    if listed_deployment is not None:
        return listed_deployment.deployed
    failed_deployment = next((other for other in view.deployments if other.rollout_state == "FAILED"), view.primary)
    return failed_deployment.deployed


def _is_primary_ambiguous(view: ServiceView) -> bool:
    """Whether PRIMARY's revision is unknown among several: the deployment in flight is the last change at least."""
    primary = view.primary
    return primary.revision_arn is None and view.has_revisions_of(primary.definition_arn)


def judge_failure_is_new(
    rollback: Rollback, answers: Iterable[TriggerResultEntry], deployment_began_at: datetime | None = None
) -> Check:
    """Check that no earlier rollback was triggered by the same failure.

    A rollback that was suppressed before it had a plan does not count.

    Args:
        rollback: the rollback.
        answers: recent rollbacks that failed deployments of this service triggered.
        deployment_began_at: start of the team's newest deployment. Events before and after that start are about
            different deployments.
    """
    name = "failure-is-new"
    earlier_answer = next(
        (answer for answer in answers if _is_same_failure(answer, rollback, deployment_began_at)), None
    )
    if earlier_answer is None:
        return Check.passed(name, "no other event reported this failure")
    reason = f"{earlier_answer.rollback_id} was triggered by another event about the same failed deployment"
    return Check.failed(name, reason, suppresses=True)


def _is_same_failure(answer: TriggerResultEntry, rollback: Rollback, deployment_began_at: datetime | None) -> bool:
    event = rollback.event
    if event is None or answer.event_at is None or abs(event.at - answer.event_at) > SAME_FAILURE_WINDOW:
        return False
    if (answer.created_at, answer.rollback_id) >= (rollback.created_at, rollback.id):
        return False  # if two rollbacks see each other, only the later one is suppressed
    if answer.outcome is Outcome.SUPPRESSED and not answer.is_decided:
        return False
    if answer.deployment_id is not None and event.deployment_id is not None:
        return answer.deployment_id == event.deployment_id
    return deployment_began_at is None or not answer.event_at < deployment_began_at <= event.at


def _confirm_failure(reason: str, evidence: dict[str, str]) -> Check:
    return Check.passed(CHECK_NAME, reason, evidence=dict(evidence))


def _reject_failure(reason: str, evidence: dict[str, str]) -> Check:
    return Check.failed(CHECK_NAME, f"{reason}: no release is to be replaced", evidence=dict(evidence), suppresses=True)
