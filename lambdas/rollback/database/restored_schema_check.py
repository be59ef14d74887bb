"""Check that the releases that will run can work with the tables of the restored branch, before anything is changed."""

from rollback.check import Check, Verdict
from rollback.database.ports import WriterCheckPorts
from rollback.database.preflight.context import PreviewJudge
from rollback.database.writers_check import check_other_writers
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.database.schema_verdict import Compatibility
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.ports.holders import HasLedger
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.schema.compatibility import judge_schema
from rollback.schema.compatibility_check import evidence_of
from rollback.schema.verdict_from_ledger import shipped_migrations_since, stored_schema


def make_preview_judge(
    rollback: Rollback, plan: DatabasePlan, settings: DatabaseSettings, world: WriterCheckPorts
) -> PreviewJudge:
    """Make the function that judges the tables of the preview: one check of the target, one of each other writer."""
    refused_verdicts = _refused_verdicts(rollback, plan, settings)

    def judge_preview(schema: LiveSchema, migrations: tuple[Migration, ...] | None) -> tuple[Check, ...]:
        expected = stored_schema(plan.schema_sha256, world) if plan.schema_sha256 is not None else None
        verdict = judge_schema(expected, schema, migrations, _shipped_migrations(rollback, settings, world))
        is_refused = verdict.compatibility in refused_verdicts and not rollback.request.force
        is_compatible = verdict.compatibility is Compatibility.COMPATIBLE
        target_check = Check(
            name="target-fits-restored-schema",
            verdict=Verdict.FAIL if is_refused else (Verdict.PASS if is_compatible else Verdict.WARN),
            reason=verdict.bounded.reason,
            evidence=evidence_of(verdict),
            forceable=is_refused,
        )
        return (target_check, *check_other_writers(rollback, schema, migrations, world))

    return judge_preview


def _refused_verdicts(rollback: Rollback, plan: DatabasePlan, settings: DatabaseSettings) -> frozenset[Compatibility]:
    """Verdicts that refuse the restore, unless an operator forces it. An unknown verdict refuses like a breaking one.

    Unknown is allowed in two cases:
    - No schema is recorded ahead of need: each pull request has its own branch.
    - An operator asked for the state of another branch (a reset, an undo). The operator knew that state, and a backup
      keeps the state that it replaces.
    """
    has_recorded_schemas = settings.branch_id is not None
    is_chosen_by_operator = (
        plan.strategy is not Strategy.RESTORE and rollback.escalated_from_type is None and rollback.event is None
    )
    if has_recorded_schemas and not is_chosen_by_operator:
        return frozenset({Compatibility.BREAKING, Compatibility.UNKNOWN})
    return frozenset({Compatibility.BREAKING})


def _shipped_migrations(
    rollback: Rollback, settings: DatabaseSettings, world: HasLedger
) -> tuple[ShippedMigration, ...]:
    """Migrations that the restored branch may have applied. Without their class, their effect would be unknown."""
    plan = rollback.plan
    if plan is None or plan.target is None or settings.branch_id is None:
        return ()
    return shipped_migrations_since(plan.target, settings.lease_of(None), world)
