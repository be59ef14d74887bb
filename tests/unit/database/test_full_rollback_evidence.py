"""A service rollback becomes a full one only on a breaking migration that is observed live (rule 12)."""

from collections.abc import Callable
from typing import Any

import pytest
from simulations.database import (
    ADDS,
    AFTER,
    BAD,
    BEFORE,
    BRANCH,
    DROPS,
    FIRST,
    GOOD,
    WIDER,
    DatabaseSimulation,
    applied,
)
from support.builders import SERVICE, image

from rollback.domain.database.migration_impact import breaking, unknown
from rollback.domain.database.progress import DatabaseOutcome
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback.resources.database.errors import Unreachable
from rollback.schema.verdict_from_ledger import schema_verdict

UNRECORDED_MIGRATION = ShippedMigration(
    tag="0009", created_at=9, hash=f"{9:064x}", impact=unknown("no event reported it")
)
OBSERVATIONS: dict[str, Callable[[DatabaseSimulation], None]] = {
    "attributed": lambda simulation: simulation.neon.migrate(BRANCH, AFTER, applied(FIRST, DROPS)),
    "not attributed": lambda simulation: simulation.neon.migrate(BRANCH, AFTER, applied(FIRST)),
    "unknown": lambda simulation: simulation.neon.migrate(BRANCH, BEFORE, applied(FIRST, UNRECORDED_MIGRATION)),
    "fits": lambda simulation: simulation.neon.migrate(BRANCH, WIDER, applied(FIRST, DROPS)),
}


def make_simulation(ledger: str, policy: str, live: str) -> DatabaseSimulation:
    simulation = DatabaseSimulation(Policy(on_incompatible_schema=policy))
    OBSERVATIONS[ledger](simulation)
    simulation.observe()
    OBSERVATIONS[live](simulation)
    simulation.neon.calls.clear()
    return simulation


@pytest.mark.parametrize("requested_type", [RollbackType.SERVICE, RollbackType.EMERGENCY])
@pytest.mark.parametrize("policy", ["refuse", "full"])
@pytest.mark.parametrize("live", OBSERVATIONS)
@pytest.mark.parametrize("ledger", OBSERVATIONS)
def test_only_an_attributed_verdict_confirmed_by_the_live_schema_restores(
    ledger: str, live: str, policy: str, requested_type: RollbackType
) -> None:
    simulation = make_simulation(ledger, policy, live)
    rollback = simulation.read(simulation.run({"type": requested_type.value}))
    restores = (ledger, policy, live) == ("attributed", "full", "attributed")
    is_service_rollback = ledger == "fits" or (ledger, policy, live) == ("attributed", "full", "fits")
    assert (simulation.rows() == GOOD, simulation.backup(rollback) is not None) == (restores, restores), rollback.reason
    assert restores or simulation.rows() == [*GOOD, *BAD]
    assert (simulation.running() == image("v1")) == (restores or is_service_rollback), rollback.reason
    assert rollback.outcome is (Outcome.SUCCEEDED if restores or is_service_rollback else Outcome.REFUSED)
    assert rollback.has_fenced == restores
    assert rollback.open_obligations() == ()
    assert simulation.ledger.lease(simulation.branch_key) is None


@pytest.mark.parametrize("requested_type", [RollbackType.SERVICE, RollbackType.EMERGENCY])
def test_the_requested_full_rollback_continues_with_a_note_if_the_target_fits_the_live_schema(
    requested_type: RollbackType,
) -> None:
    simulation = make_simulation("attributed", "full", "fits")
    rollback = simulation.read(simulation.run({"type": requested_type.value}))
    assert (rollback.request.type, rollback.escalated_from_type, rollback.database) == (
        requested_type,
        requested_type,
        None,
    )
    assert rollback.plan is not None
    assert rollback.plan.database is None
    need_check = next(check for check in rollback.plan.checks if check.name == "full-rollback-is-needed")
    assert "the database stays as it is" in need_check.reason
    assert "0001_drop_email" in need_check.reason  # the report names the migration too


@pytest.mark.parametrize(
    ("ledger", "live", "text"),
    [
        ("unknown", "unknown", "an unknown verdict starts no rollback of the database by itself"),
        ("not attributed", "fits", "no migration that a later release shipped explains that column public.users.email"),
        ("attributed", "unknown", "was read before any task was stopped"),
        ("attributed", "not attributed", "no migration that a later release shipped explains that column"),
    ],
)
def test_a_refusal_names_the_missing_evidence_and_the_operator_s_next_step(ledger: str, live: str, text: str) -> None:
    simulation = make_simulation(ledger, "full", live)
    rollback = simulation.read(simulation.run())
    assert rollback.outcome is Outcome.REFUSED
    assert text in rollback.reason
    assert f"rollback start production --type full --service {SERVICE} --target-version v1" in rollback.reason


def test_a_full_rollback_retries_an_unreachable_database_and_is_then_refused() -> None:
    simulation = DatabaseSimulation()
    attempts: list[int] = []

    def refuse_connection(*_: Any) -> Any:
        attempts.append(1)
        raise Unreachable("no session with the database")

    simulation.sql.live_schema = refuse_connection  # type: ignore[assignment,method-assign]
    rollback = simulation.read(simulation.run({"type": "service"}))
    assert (rollback.outcome, rollback.has_fenced, simulation.rows()) == (Outcome.REFUSED, False, [*GOOD, *BAD])
    assert len(attempts) > 1
    assert rollback.database is not None
    assert rollback.database.database_outcome is DatabaseOutcome.REFUSED
    assert "could not be asked" in rollback.reason


def test_a_full_rollback_requested_by_an_operator_stays_full_although_the_target_fits() -> None:
    simulation = DatabaseSimulation(second=ADDS)
    rollback = simulation.read(simulation.run({"type": "full", "target_version": "v1"}))
    assert (rollback.outcome, rollback.escalated_from_type, simulation.rows()) == (Outcome.SUCCEEDED, None, GOOD)


def test_a_preview_of_unknown_compatibility_refuses_unless_an_operator_forces_it() -> None:
    execution_input = {"type": "database", "reason": "wrong rows"}
    simulation = DatabaseSimulation(second=ADDS)  # v2 runs, and its schema was never recorded
    rollback = simulation.read(simulation.run(execution_input))
    assert (rollback.outcome, simulation.rows()) == (Outcome.REFUSED, [*GOOD, *BAD])
    assert rollback.database is not None
    assert [check.is_forceable for check in rollback.database.schema_checks] == [True]
    forced = DatabaseSimulation(second=ADDS)
    forced.run({**execution_input, "force": True})
    assert forced.rows() == GOOD


@pytest.mark.parametrize(("minutes", "is_pending"), [(-1, True), (5, True), (11, False)])
def test_migrations_of_a_checkpoint_are_pending_until_their_pipeline_would_have_run_them(
    minutes: int, is_pending: bool
) -> None:
    """`minutes` is the time from v3's checkpoint to the last observation, which saw none of its migrations."""
    simulation = DatabaseSimulation(second=ADDS)
    migration = ShippedMigration(
        tag="0002_drop", created_at=3, hash=f"{4:064x}", impact=breaking("users: drop column email")
    )
    if minutes < 0:
        simulation.observe()
        simulation.clock.pass_time(minutes=-minutes)
    simulation.checkpoint("v3", (FIRST, ADDS, migration))
    if minutes > 0:
        simulation.clock.pass_time(minutes=minutes)
        simulation.observe()
    v1, v2 = (next(r for r in simulation.ledger.releases(SERVICE) if r.version == name) for name in ("v1", "v2"))
    verdict = schema_verdict(v1, simulation.ports, v2)
    assert verdict is not None
    assert verdict.compatibility == ("unknown" if is_pending else "compatible")
    assert ("0002_drop" in verdict.reason) == is_pending
