"""Whether ECS knows of the failed deployment that an event tells of: an event alone changes nothing."""

from rollback.model.check import Check, Verdict
from rollback.model.service_view import ENDED_ELSEWHERE, IN_FLIGHT, ROLLING_BACK, ServiceView

CHECK_NAME = "deployment-failed"


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


def _seen(reason: str, evidence: dict[str, str]) -> Check:
    return Check(name=CHECK_NAME, verdict=Verdict.PASS, reason=reason, evidence=dict(evidence))


def _gone(reason: str, evidence: dict[str, str]) -> Check:
    return Check(
        name=CHECK_NAME, verdict=Verdict.FAIL, reason=f"{reason}: nothing is to be left", evidence=dict(evidence),
        suppresses=True,
    )  # fmt: skip
