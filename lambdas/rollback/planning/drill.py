"""The draft of a drill's plan: the running release as the target, and the checks that refuse the drill."""

from rollback.check import Check
from rollback.domain.plan import Plan, ServiceBaseline
from rollback.domain.releases.newer_release import newest_known_at
from rollback.domain.rollback import Rollback
from rollback.drills.evidence import drill_checks
from rollback.drills.ports import DrillPlanPorts
from rollback.identity.identify import find_or_build_release
from rollback.identity.task_definition import read_standing_plan
from rollback.resources.aws.cloudformation_stack import StackState
from rollback.service.stack import StackStatus


def draft_drill_plan(rollback: Rollback, ports: DrillPlanPorts, stack: StackStatus | None = None) -> Plan:
    """Draft the plan with its checks; a drill of the database gets its part afterwards.

    Args:
        rollback: the drill.
        ports: access to AWS and the ledger.
        stack: activity of the CloudFormation stack; None: the emergency path does not ask for it.
    """
    service = ports.settings.service(rollback.service_name)
    view, standing_plan = ports.services.describe(service), read_standing_plan(service.name, ports)
    running = find_or_build_release(view.primary.deployed, view, service, ports)
    target = standing_plan.target_for(running.fingerprint) if standing_plan is not None else None
    return Plan(
        running=running,
        target=running,
        checks=(*drill_checks(running, view, standing_plan, ports), *_stack_checks(service.stack, stack)),
        newest_deployment_at=newest_known_at(view),
        baseline=ServiceBaseline(
            definition_arn=view.primary.definition_arn,
            desired_count=view.desired_count,
            deployment_id=view.primary.id,
            rollback_target=target.release.version if target is not None else "",
        ),
    )


def _stack_checks(name: str | None, stack: StackStatus | None) -> tuple[Check, ...]:
    if name is None or stack is None:
        return ()
    is_quiet = stack.state is StackState.STABLE
    fact = f"CloudFormation stack {name} is not known to be idle: {stack.why_not_known or stack.state}"
    return (Check.failed_if(None if is_quiet else fact, "stack-is-idle", f"CloudFormation stack {name} is idle"),)
