"""The condition that an unsuccessful rollback left behind: which release, which data, which backup."""

from collections.abc import Iterator

from rollback.domain.database.progress import DatabaseOutcome, DatabaseProgress, backup_name
from rollback.domain.obligation import ObligationKind
from rollback.domain.plan import Plan
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import Strategy


def describe_condition(rollback: Rollback) -> list[str]:
    """One line about release, data, backup and stopped services; none if the database was no part of the rollback."""
    progress, plan = rollback.database, rollback.plan
    if progress is None or plan is None:
        return []
    unknown = _unknown_data(rollback, progress)
    data, backup = unknown if unknown is not None else (_known_data(progress), _backup(progress))
    stopped = _services_left_at_zero(rollback)
    at_zero = f"; left at zero tasks, so that nothing writes to it: {', '.join(stopped)}" if stopped else ""
    return [f"Condition: {_release(rollback, plan, progress, stopped)}; {data}; {backup}{at_zero}"]


def protect_branches(rollback: Rollback) -> Iterator[str]:
    """Actions for branches that are not protected again."""
    for obligation in rollback.left_to_operator():
        if obligation.kind is ObligationKind.BRANCH_PROTECTION:
            branch_id = obligation.before["branch_id"]
            service_name = rollback.service_of_obligation(obligation)
            command = f"rollback unfence {rollback.environment} --service {service_name} --reason '…'"
            yield f"Protect branch {branch_id} again, in Neon's console or by `{command}`"


def _services_left_at_zero(rollback: Rollback) -> list[str]:
    return [
        obligation.service or rollback.service_name
        for obligation in rollback.left_to_operator()
        if obligation.kind is ObligationKind.FENCE
    ]


def _release(rollback: Rollback, plan: Plan, progress: DatabaseProgress, stopped: list[str]) -> str:
    if rollback.service is not None and rollback.service.acted_at is not None:
        return f"{plan.target.version if plan.target is not None else 'nothing'} was deployed"
    may_be_stopped = stopped or rollback.is_fenced or progress.may_have_changed_data
    return f"{plan.running.version} {'is the release that the service would start' if may_be_stopped else 'runs'}"


def _known_data(progress: DatabaseProgress) -> str:
    if not progress.may_have_changed_data:
        return "the data is untouched"
    if progress.database_outcome is DatabaseOutcome.RESTORED:
        return "the data was restored as planned"
    return "the data may be overwritten or partly changed"


def _backup(progress: DatabaseProgress) -> str:
    return f"backup branch {progress.backup_id}" if progress.backup_id is not None else "no backup branch is known"


def _unknown_data(rollback: Rollback, progress: DatabaseProgress) -> tuple[str, str] | None:
    """Describe data and backup while their state is not known; None: it is known."""
    if progress.not_known is not None:
        return f"it is NOT KNOWN whether the data was changed ({progress.not_known})", _where_to_look(
            rollback, progress
        )
    if progress.has_unanswered_change and progress.may_have_changed_data:
        data = "it is not known yet whether the data was changed: Neon is being asked, and another report follows"
        return data, _where_to_look(rollback, progress)
    return None


def _where_to_look(rollback: Rollback, progress: DatabaseProgress) -> str:
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is not None and planned.strategy is Strategy.DELETE:
        branch = progress.before.name
        return f"look in Neon's console whether branch {branch} exists; a deleted one can be recovered for seven days"
    return f"look in Neon's console for a branch {backup_name(rollback.id)}, which has the state before the change"
