"""Compare the facts that a person approved with those of the plan that was made afterwards."""

from collections.abc import Iterator

from rollback.domain.approval.gate import ApprovedFacts


def changed_facts(approved: ApprovedFacts, planned: ApprovedFacts) -> tuple[str, ...]:
    """List the facts that differ from the approved ones, in words; empty: the approval holds."""
    return tuple(_differences(approved, planned))


def _differences(approved: ApprovedFacts, planned: ApprovedFacts) -> Iterator[str]:
    if planned.type != approved.type:
        yield f"the type is {planned.type}, approved was {approved.type}"
    if planned.running != approved.running:
        running, known = _release(planned.running_version, planned.running), approved
        yield f"{running} runs, approved was a rollback of {_release(known.running_version, known.running)}"
    if planned.target != approved.target:
        target = _release(planned.target_version, planned.target)
        yield f"the target is {target}, approved was {_release(approved.target_version, approved.target)}"
    if planned.strategy != approved.strategy:
        yield f"the database's part is {_or_none(planned.strategy)}, approved was {_or_none(approved.strategy)}"
    if planned.branch != approved.branch:
        yield f"the branch is {_or_none(planned.branch)}, approved was {_or_none(approved.branch)}"
    if planned.restore_point != approved.restore_point:
        point = _or_none(planned.restore_point)
        yield f"the restore point is {point}, approved was {_or_none(approved.restore_point)}"
    if planned.source != approved.source:
        yield f"the source is {_or_none(planned.source)}, approved was {_or_none(approved.source)}"
    if planned.migrations != approved.migrations:
        yield f"the down-migrations are {_listed(planned.migrations)}, approved were {_listed(approved.migrations)}"
    if planned.schema_verdict != approved.schema_verdict:
        verdict = _or_none(planned.schema_verdict)
        yield f"the schema verdict is {verdict}, approved was {_or_none(approved.schema_verdict)}"
    new_objections = sorted({*planned.overridden} - {*approved.overridden})
    if new_objections:
        yield f"--force would override {', '.join(new_objections)}, which nobody approved"


def _release(version: str, fingerprint: str | None) -> str:
    return f"{version or 'release'} ({fingerprint[:12]})" if fingerprint else "none"


def _or_none(value: str | None) -> str:
    return value if value is not None else "none"


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(values) or "none"
