"""Service revision that PRIMARY runs, derived from answers of ECS that may be of different moments.

DescribeServices lists deployments without their revision. DescribeServiceDeployments names the revision that the newest
service deployment brings, and the revision that ECS goes back to. Both answers are eventually consistent (ECS API
reference, Deployment, ServiceDeployment, Rollback). A task definition with a moving tag has a revision for each forced
deployment, each with its own digests. So the definition alone does not show which images run.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from rollback.resources.aws.ecs_service import IN_FLIGHT, ROLLING_BACK, Deployment, ServiceDeployment

_WENT_BACK = ROLLING_BACK | {"ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"}
_CLOCKS_DIFFER = timedelta(seconds=5)  # a service deployment is created before the deployment that it makes
# Status of a service deployment → rollout states that ECS may show with it; any other pair is of two moments.
_BESIDE = {
    "SUCCESSFUL": frozenset({"COMPLETED"}),
    "ROLLBACK_SUCCESSFUL": frozenset({"COMPLETED"}),
    "STOPPED": frozenset({"FAILED"}),
    "ROLLBACK_FAILED": frozenset({"FAILED"}),
}
_UNDER_WAY = frozenset({"IN_PROGRESS", "FAILED"})
_NOT_TOLD = ""  # services behind a Classic Load Balancer have no rollout state


def primary_revision(
    deployments: Sequence[Deployment],
    newest: ServiceDeployment | None,
    current: Collection[str],
    definitions: Mapping[str, str],
) -> str | None:
    """Return the ARN of the revision that PRIMARY runs; None if it is not known or ECS's answers disagree.

    Args:
        deployments: entries of `deployments` in DescribeServices.
        newest: newest service deployment; None if ECS lists none.
        current: ARNs of `currentServiceRevisions`; empty if ECS lists none.
        definitions: revision ARN → task definition ARN, of all known revisions.
    """
    primary = next(deployment for deployment in deployments if deployment.is_primary)
    candidates = {arn for arn, definition in definitions.items() if definition == primary.definition_arn}
    if newest is None:
        return _only(candidates & set(current))
    if is_unlisted(primary, newest):
        return None
    expected = newest.rollback_revision_arn if newest.status in _WENT_BACK else newest.target_revision_arn
    if expected not in candidates:  # PRIMARY is older, or its service deployment is not listed yet
        return _only((candidates & set(current)) or candidates)
    if len(candidates) == 1:
        return expected
    return expected if _agree(expected, primary, deployments, newest, current) else None


def is_unlisted(primary: Deployment, newest: ServiceDeployment) -> bool:
    """Report whether PRIMARY belongs to a service deployment that ECS does not list yet.

    PRIMARY then began after the newest listed service deployment had ended.
    """
    finished_at = newest.finished_at
    return finished_at is not None and primary.created_at > finished_at + _CLOCKS_DIFFER


def _agree(
    expected: str,
    primary: Deployment,
    deployments: Sequence[Deployment],
    newest: ServiceDeployment,
    current: Collection[str],
) -> bool:
    """Report whether no answer contradicts the expected revision, if several revisions have PRIMARY's definition."""
    if current and expected not in current:
        return False
    if primary.rollout_state not in _BESIDE.get(newest.status, _UNDER_WAY) | {_NOT_TOLD}:
        return False
    if newest.status not in IN_FLIGHT - ROLLING_BACK:
        return True
    began_before = primary.created_at < newest.created_at - _CLOCKS_DIFFER
    has_failed = any(
        deployment.rollout_state == "FAILED" and deployment.definition_arn == newest.target_definition_arn
        for deployment in deployments
        if not deployment.is_primary
    )
    return newest.status != "PENDING" and not began_before and not has_failed


def _only(arns: Collection[str]) -> str | None:
    return next(iter(arns)) if len(arns) == 1 else None
