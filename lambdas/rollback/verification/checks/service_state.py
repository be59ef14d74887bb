"""Check that PRIMARY runs the release with all tasks, and that the load balancer finds them healthy."""

from collections import Counter

from rollback.check import Check, Verdict
from rollback.domain.releases.release import Release
from rollback.identity.identify import identify_running
from rollback.identity.target_groups import read_group_health
from rollback.ports.holders import HasTargetGroups
from rollback.resources.aws.ecs_service import ServiceView
from rollback.resources.aws.target_group_health import GroupState, conclusive_groups, describe_inconclusive_groups
from rollback.service.ports import ServiceReadPorts
from rollback.verification.checks.evidence_keys import REFUSED, TARGET_GROUP_GONE


def check_steady_state(view: ServiceView, release: Release, ports: ServiceReadPorts) -> Check:
    """Check that PRIMARY alone runs the release, with all tasks."""
    primary = view.primary
    problems = list(view.why_not_stable)
    if not identify_running(view, ports.settings.service(release.service), ports).is_release(release):
        problems.insert(0, f"PRIMARY is {primary.definition_arn.rsplit('/', 1)[-1]}, not {release.version}")
    evidence = {"definition": primary.definition_arn, "running": view.running_count, "desired": view.desired_count}
    verdict = Verdict.FAIL if problems else Verdict.PASS
    reason = ", ".join(problems) or f"{release.version} runs on {view.running_count} tasks"
    return Check(name="ecs-steady-state", verdict=verdict, reason=reason, evidence=evidence)


def check_target_health(view: ServiceView, ports: HasTargetGroups) -> Check:
    """Check that every task is healthy in every target group that has health checks."""
    name = "target-health"
    if not view.target_groups:
        return Check.skipped(name, view.why_not_counted)
    groups = read_group_health(view, ports)
    inconclusive = describe_inconclusive_groups(groups)
    deleted = [group for group in groups if group.state is GroupState.GONE]
    conclusive = conclusive_groups(groups)
    counts = Counter(target.state for group in conclusive for target in group.targets)
    healthy, required = sum(group.healthy for group in conclusive), view.desired_count * len(conclusive)
    reason = "; ".join(filter(None, (f"{healthy} of {required} targets healthy" if conclusive else "", inconclusive)))
    if conclusive and healthy < required:
        return Check.failed(name, reason, evidence=dict(sorted(counts.items())))
    if deleted:  # ECS can't register a task in a deleted group, and no escalation changes that
        evidence = {REFUSED: deleted[0].arn, **({TARGET_GROUP_GONE: deleted[0].arn} if conclusive else {})}
        return Check.failed(name, reason, evidence=evidence)
    if not conclusive:
        return Check.skipped(name, f"not checked: {inconclusive}")
    return Check.passed(name, reason, evidence=dict(sorted(counts.items())))
