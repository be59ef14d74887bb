"""The planned changes of a rollback: as lines of a text, and as a document for programs.

`describe_plan` is the only source of both, so that the text and the JSON can't differ.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from pydantic import BaseModel, ConfigDict, Field

from rollback.check import Check, Verdict
from rollback.domain.changes.planned_changes import ChangeKind, PlannedChange, PlannedChanges, RowLossEstimate
from rollback.domain.rollback import Rollback

_MARKS = {ChangeKind.ADDED: "+", ChangeKind.REMOVED: "-", ChangeKind.CHANGED: "~"}
_KIB = 1024


class PlannedCheck(BaseModel):
    """A check of admission or plan."""

    model_config = ConfigDict(frozen=True)

    name: str
    verdict: Verdict
    reason: str


class PlanDocument(BaseModel):
    """The plan of a rollback with all its changes and checks, for programs.

    Attributes:
        outcome: outcome of the rollback; None: the rollback has none yet.
        running: version that runs; None: the rollback ended before its plan.
        target: version of the target; None: there is none.
        changes: the changes; None: they were not listed, since the rollback ended earlier or made them at once.
        checks: all checks of admission and plan, in their order.
    """

    model_config = ConfigDict(frozen=True)

    format: int = Field(default=1, description="number of this format; a new member does not change the number")
    rollback_id: str
    environment: str
    service: str
    type: str
    is_dry_run: bool
    outcome: str | None
    reason: str
    running: str | None
    target: str | None
    changes: PlannedChanges | None
    checks: tuple[PlannedCheck, ...]


def describe_plan(rollback: Rollback) -> PlanDocument:
    """Describe the plan of a rollback: what it would change, and each check with its verdict and reason."""
    plan = rollback.plan
    checks = (*rollback.admission, *(plan.checks if plan is not None else ()))
    return PlanDocument(
        rollback_id=rollback.id,
        environment=rollback.environment,
        service=rollback.service_name,
        type=str(rollback.request.type),
        is_dry_run=rollback.request.dry_run,
        outcome=str(rollback.outcome) if rollback.outcome is not None else None,
        reason=rollback.reason,
        running=plan.running.version if plan is not None else None,
        target=plan.target.version if plan is not None and plan.target is not None else None,
        changes=plan.changes if plan is not None else None,
        checks=tuple(PlannedCheck(name=c.name, verdict=c.verdict, reason=c.reason) for c in checks),
    )


def format_changes(rollback: Rollback) -> Iterator[str]:
    """Lines of a text about the planned changes; none if they were not listed."""
    changes = describe_plan(rollback).changes
    if changes is None:
        return
    yield "Changes of this plan (+ added, - removed, ~ changed; variables and secrets by name only):"
    for area, items in groupby(changes.items, key=lambda item: item.area):
        yield f"  {area}:"
        yield from (f"    {_in_words(item)}" for item in items)
    if not changes.items:
        yield "  no change is known" if changes.not_looked_at else "  none"
    if changes.more:
        yield f"    … and {changes.more} more changes"
    if changes.row_loss is not None:
        yield from (f"  {line}" for line in _row_loss_lines(changes.row_loss))
    yield from (f"  stays: {part}" for part in changes.unchanged)
    yield from (f"  not looked at: {part}" for part in changes.not_looked_at)


def format_checks(checks: Iterable[Check], reported_reason: str, verdicts: Iterable[Verdict]) -> Iterator[str]:
    """List checks in their order, each name once; a reason that the report's Why already says is not repeated.

    Args:
        checks: the checks.
        reported_reason: the reason that the report names first.
        verdicts: verdicts of the checks to list.
    """
    listed_verdicts = frozenset(verdicts)
    by_name: dict[str, list[Check]] = {}
    for check in checks:
        if check.verdict in listed_verdicts:
            by_name.setdefault(check.name, []).append(check)
    for name, named_checks in by_name.items():
        reasons: dict[tuple[Verdict, str], None] = {}
        for check in named_checks:
            is_repeated = bool(check.reason) and check.reason in reported_reason
            reasons.setdefault((check.verdict, "see Why" if is_repeated else check.reason))
        for number, (verdict, reason) in enumerate(reasons):
            label = f"{name}: " if number == 0 else " " * (len(name) + 2)
            yield f"  {verdict:7} {label}{reason}"


def _in_words(change: PlannedChange) -> str:
    before_and_after = (
        f": {change.before or 'none'} → {change.after or 'none'}" if change.before or change.after else ""
    )
    if change.kind is not ChangeKind.CHANGED and before_and_after:
        before_and_after = f": {change.after or change.before}"
    temporary = "; put back afterwards" if change.is_temporary else ""
    return f"{_MARKS[change.kind]} {change.where}: {change.what}{before_and_after}{temporary}"


def _row_loss_lines(estimate: RowLossEstimate) -> Iterator[str]:
    if estimate.since is not None:
        minutes = f", {estimate.minutes:g} minutes before this plan" if estimate.minutes is not None else ""
        yield f"lost writes: all since {estimate.since:%Y-%m-%d %H:%M:%S} UTC{minutes}"
    if estimate.wal_bytes is not None and estimate.wal_measured_at is not None:
        yield (
            f"write-ahead log since then: {estimate.wal_bytes / _KIB:,.0f} KiB, measured at "
            f"{estimate.wal_measured_at:%Y-%m-%d %H:%M:%S} UTC"
        )
    rows = f"about {estimate.rows:,}" if estimate.rows is not None else estimate.remark or "not estimated"
    yield f"lost rows: {rows}"
    if estimate.rows is not None and estimate.remark:
        yield f"about the estimate: {estimate.remark}"
