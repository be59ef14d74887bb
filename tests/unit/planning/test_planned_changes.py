"""A plan that is not carried out at once lists its changes: in ECS, in autoscaling and in the database."""

import json
from datetime import timedelta
from typing import Any

import pytest
from simulations.database import DatabaseSimulation
from simulations.service import CANDIDATE, PROMOTED, Simulation
from simulations.two_writers import WORKER, TwoWriterSimulation
from support.builders import NOW, SERVICE, definition, image, release

from rollback.domain.approval.policy import ApprovalPolicy, ApprovalReason
from rollback.domain.changes.planned_changes import Area, ChangeKind, PlannedChange, PlannedChanges
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import RestorePoint
from rollback.domain.plan import Plan
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.database import Strategy
from rollback.domain.settings.policy import Policy
from rollback.errors import ExternalServiceError
from rollback.planning.change_rules import ChangeFacts, ServiceFacts, list_changes
from rollback.reports.approval import approval_message
from rollback.reports.planned_changes import describe_plan
from rollback.reports.report import message
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget
from rollback.resources.database.wal_position import Lsn

V2, V1 = release("v2"), release("v1", hours_ago=48)
SECRET = "swordfish"
TIMELINE = "t-1"
POINT = RestorePoint(at=NOW - timedelta(minutes=90), lsn=Lsn(1_000_000), timeline=TIMELINE)
SCALABLE = ScalableTarget(min_capacity=1, max_capacity=3, suspended=dict.fromkeys(SCALING_FLAGS, False))


def with_container(version: str, **members: Any) -> dict[str, Any]:
    stored = definition(version)
    stored["containerDefinitions"] = [{**stored["containerDefinitions"][0], **members}]
    return stored


def facts(desired_count: int = 2, scalable: ScalableTarget | None = None, **changes: Any) -> ChangeFacts:
    fields = {
        "service": ServiceFacts(SERVICE, desired_count, scalable),
        "now": NOW,
        "running_definition": definition("v2"),
        "target_definition": definition("v1"),
    }
    return ChangeFacts(**{**fields, **changes})


def changes_of(
    kind: RollbackType = RollbackType.SERVICE, known: ChangeFacts | None = None, **plan: Any
) -> PlannedChanges:
    fields: dict[str, Any] = {"running": V2, "target": V1, "checks": (), **plan}
    return list_changes(Plan(**fields), kind, known or facts())


def items_of(changes: PlannedChanges, area: Area) -> list[PlannedChange]:
    return [item for item in changes.items if item.area is area]


def restore(**changes: Any) -> DatabasePlan:
    return DatabasePlan.model_validate({"strategy": Strategy.RESTORE, "branch": "br-1", "point": POINT, **changes})


def observation(**changes: Any) -> Observation:
    fields = {
        "branch": "b",
        "schema_sha256": "1" * 64,
        "observed_at": NOW - timedelta(minutes=4),
        "timeline": TIMELINE,
        "lsn": Lsn(1_000_000 + 2048),
    }
    return Observation.model_validate({**fields, **changes})


def test_images_are_listed_by_digest_and_settings_that_hold_no_secret_by_value() -> None:
    before = with_container("v2", cpu=256)
    after = with_container("v1", cpu=128)
    known = facts(running_definition=before, target_definition=after)
    listed = {(i.where, i.what): (i.before, i.after) for i in changes_of(known=known).items}
    assert listed[("container api", "image")] == (image("v2"), image("v1"))
    assert listed[("container api", "cpu")] == ("256", "128")


def test_variables_and_secrets_are_listed_by_name_only() -> None:
    arn = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{SECRET}"
    before = with_container(
        "v2",
        environment=[{"name": "MODE", "value": SECRET}, {"name": "ONLY_NEW", "value": SECRET}],
        secrets=[{"name": "DATABASE_URL", "valueFrom": arn}],
        command=["run", SECRET],
    )
    after = with_container(
        "v1",
        environment=[{"name": "MODE", "value": f"{SECRET}-2"}],
        secrets=[{"name": "DATABASE_URL", "valueFrom": f"{arn}-2"}],
        command=["run"],
    )
    changes = changes_of(known=facts(running_definition=before, target_definition=after))
    kinds = {i.what: i.kind for i in changes.items if i.where == "container api"}
    assert kinds["variable MODE"] is ChangeKind.CHANGED
    assert kinds["variable ONLY_NEW"] is ChangeKind.REMOVED
    assert kinds["secret DATABASE_URL"] is ChangeKind.CHANGED
    assert kinds["command"] is ChangeKind.CHANGED
    assert SECRET not in changes.model_dump_json()


def test_a_definition_that_was_not_found_is_not_taken_for_an_equal_one() -> None:
    known = facts(target_definition=None, definitions_remark="the ledger could not be read: throttled")
    changes = changes_of(known=known)
    assert changes.not_looked_at == ("members of the task definition: the ledger could not be read: throttled",)
    images = [i for i in changes.items if i.what == "image"]
    assert [(i.before, i.after) for i in images] == [(image("v2"), image("v1"))]


@pytest.mark.parametrize(
    ("count", "recorded", "scalable", "expected"),
    [(2, 2, None, []), (1, 2, None, [("1", "2")]), (1, 9, SCALABLE, [("1", "3")]), (5, 2, SCALABLE, [])],
)
def test_the_desired_count_is_the_one_that_the_service_step_would_request(
    count: int, recorded: int, scalable: ScalableTarget | None, expected: list[tuple[str, str]]
) -> None:
    changes = changes_of(known=facts(count, scalable), target=release("v1", desired_count=recorded))
    assert [(i.before, i.after) for i in items_of(changes, Area.DESIRED_COUNT)] == expected
    is_named_unchanged = f"the desired count of {SERVICE}: {count}" in changes.unchanged
    assert is_named_unchanged is not bool(expected)


def test_a_bound_of_autoscaling_that_was_not_read_is_named() -> None:
    service = ServiceFacts(SERVICE, 2, problem="the scalable target could not be read: denied")
    changes = changes_of(known=facts(service=service))
    assert changes.not_looked_at == (f"{SERVICE}: the scalable target could not be read: denied",)
    assert not any("desired count" in part for part in changes.unchanged)


def test_the_deployment_configuration_is_changed_for_the_time_of_the_deployment() -> None:
    breaker = {"enable": True, "rollback": True}
    known = facts(
        configuration={"deploymentCircuitBreaker": breaker, "maximumPercent": 200},
        configuration_during={"deploymentCircuitBreaker": {**breaker, "rollback": False}, "maximumPercent": 200},
    )
    [change] = items_of(changes_of(known=known), Area.DEPLOYMENT_CONFIGURATION)
    assert (change.what, change.is_temporary) == ("deploymentCircuitBreaker", True)
    assert (json.loads(change.before)["rollback"], json.loads(change.after)["rollback"]) == (True, False)


def test_a_restore_stops_each_writer_and_suspends_only_the_scaling_that_is_active() -> None:
    half = SCALABLE.model_copy(update={"suspended": {**SCALABLE.suspended, SCALING_FLAGS[0]: True}})
    writers = (ServiceFacts(SERVICE, 2, half), ServiceFacts(WORKER, 3), ServiceFacts("idle", 0))
    changes = changes_of(RollbackType.FULL, facts(writers=writers), database=restore())
    scaling = items_of(changes, Area.SCALING)
    assert [(i.where, i.what, i.is_temporary) for i in scaling] == [(SERVICE, flag, True) for flag in SCALING_FLAGS[1:]]
    stopped = [(i.where, i.before, i.after) for i in items_of(changes, Area.DESIRED_COUNT)]
    assert stopped == [(SERVICE, "2", "0"), (WORKER, "3", "0")]


def test_a_service_rollback_leaves_scaling_and_database_alone_and_says_so() -> None:
    changes = changes_of()
    assert not items_of(changes, Area.SCALING)
    assert not items_of(changes, Area.DATABASE)
    assert changes.row_loss is None
    assert any(part.startswith(f"the scaling of {SERVICE}") for part in changes.unchanged)
    assert any(part.startswith("the database:") for part in changes.unchanged)


def test_a_database_rollback_keeps_the_task_definition() -> None:
    changes = changes_of(RollbackType.DATABASE, target=V2, database=restore())
    assert not items_of(changes, Area.TASK_DEFINITION)
    [data] = items_of(changes, Area.DATABASE)
    assert (data.where, data.after) == ("br-1", f"restore point 2026-03-01 01:30:00 UTC, position {POINT.lsn}")
    assert f"the task definition of {SERVICE}: v2 keeps running" in changes.unchanged


def test_the_loss_of_rows_is_bounded_by_time_and_by_the_write_ahead_log_of_the_same_timeline() -> None:
    loss = changes_of(RollbackType.FULL, facts(observation=observation()), database=restore()).row_loss
    assert loss is not None
    assert (loss.since, loss.minutes, loss.wal_bytes, loss.rows) == (POINT.at, 90.0, 2048, None)
    assert "not estimated" in loss.remark


@pytest.mark.parametrize(
    "other",
    [None, observation(timeline="t-2"), observation(lsn=None), observation(lsn=Lsn(5)), observation(timeline=None)],
)
def test_positions_that_can_not_be_compared_give_no_length_of_the_log(other: Observation | None) -> None:
    loss = changes_of(RollbackType.FULL, facts(observation=other), database=restore()).row_loss
    assert loss is not None
    assert (loss.minutes, loss.wal_bytes) == (90.0, None)
    assert "not estimated" in loss.remark


@pytest.mark.parametrize("strategy", [Strategy.DELETE, Strategy.DOWN_MIGRATIONS, Strategy.RESET])
def test_every_strategy_says_that_the_rows_are_not_estimated(strategy: Strategy) -> None:
    planned = restore(strategy=strategy, point=None, migrations=("0002",), source_branch_id="br-9")
    changes = changes_of(RollbackType.FULL, facts(writers=(ServiceFacts(SERVICE, 2),)), database=planned)
    assert changes.row_loss is not None
    assert "not estimated" in changes.row_loss.remark
    assert items_of(changes, Area.DATABASE)
    is_stopped = any(i.what.startswith("desired count while") for i in changes.items)
    assert is_stopped is (strategy is not Strategy.DELETE)


def test_a_list_without_end_is_bounded_and_says_by_how_much() -> None:
    before = with_container("v2", environment=[{"name": f"V{n:03}", "value": "x"} for n in range(300)])
    changes = changes_of(known=facts(running_definition=before))
    assert len(changes.items) + changes.more > 300
    assert changes.more > 0
    assert len(changes.model_dump_json()) < 100_000


# The whole step, on the fakes


def ready_simulation(policy: Policy | None = None) -> Simulation:
    simulation = Simulation(policy=policy or Policy())
    simulation.ship("v1", PROMOTED, 48)
    simulation.ship("v2", CANDIDATE)
    return simulation


def changes_in(rollback: Rollback) -> PlannedChanges:
    assert rollback.plan is not None
    assert rollback.plan.changes is not None
    return rollback.plan.changes


def report_of(rollback: Rollback, simulation: Simulation) -> str:
    return message(rollback, simulation.service_settings)


@pytest.mark.parametrize("kind", ["service", "emergency"])
def test_a_dry_run_lists_its_changes_and_every_check_and_changes_nothing(kind: str) -> None:
    simulation = ready_simulation()
    rollback = simulation.run({"type": kind, "dry_run": True})
    assert rollback.outcome is Outcome.PLANNED
    assert simulation.services.calls == []
    assert {i.what for i in items_of(changes_in(rollback), Area.TASK_DEFINITION)} == {"task definition", "image"}
    text = report_of(rollback, simulation)
    assert image("v1") in text
    assert rollback.plan is not None
    for check in rollback.plan.checks:
        assert text.count(f" {check.name}: ") == 1, check.name


def test_an_environment_that_observes_lists_the_same_changes_as_a_dry_run() -> None:
    dry_run = ready_simulation().run({"dry_run": True})
    observing = ready_simulation(Policy(mode="observe")).run({})
    assert (observing.outcome, observing.request.dry_run) == (Outcome.PLANNED, False)
    assert changes_in(observing) == changes_in(dry_run)
    assert changes_in(ready_simulation(Policy(mode="observe")).run()).items == changes_in(dry_run).items


def test_a_refused_dry_run_lists_the_changes_that_it_would_have_made() -> None:
    simulation = Simulation()
    simulation.ship("v1", CANDIDATE, 48)
    simulation.ship("v2", CANDIDATE)
    simulation.ledger.set_release_state(
        next(r for r in simulation.ledger.releases(SERVICE) if r.version == "v1"),
        simulation.state_of("v1").QUARANTINED,
        NOW,
        "left by a rollback",
    )
    rollback = simulation.run({"dry_run": True, "target_version": "v1"})
    assert rollback.outcome is Outcome.REFUSED
    assert items_of(changes_in(rollback), Area.TASK_DEFINITION)


def test_a_dry_run_of_two_writers_names_both_services_and_the_restore_point() -> None:
    simulation = TwoWriterSimulation()
    rollback = simulation.run({"type": "full", "service": SERVICE, "dry_run": True})
    assert rollback.outcome is Outcome.PLANNED, rollback.reason
    changes = changes_in(rollback)
    stopped = {i.where for i in items_of(changes, Area.DESIRED_COUNT) if i.after == "0"}
    assert stopped == {SERVICE, WORKER}
    assert changes.row_loss is not None
    assert changes.row_loss.since is not None
    text = report_of(rollback, simulation)
    assert "lost writes: all since" in text
    assert "lost rows: not estimated" in text


def test_a_rollback_that_waits_for_an_approval_shows_its_changes_to_the_person_who_decides() -> None:
    approval = ApprovalPolicy(required_for=(ApprovalReason.FULL,))
    simulation = DatabaseSimulation(approval=approval)
    waiting = simulation.admit({"type": "full"})
    for _ in range(5):
        if waiting.is_at_gate:
            break
        waiting = simulation.run_due_step(waiting)
    assert waiting.is_at_gate, waiting.reason
    assert items_of(changes_in(waiting), Area.DATABASE)
    assert waiting.approval is not None
    assert "lost writes: all since" in approval_message(waiting, waiting.approval)


def test_autoscaling_that_does_not_answer_ends_no_dry_run() -> None:
    simulation = ready_simulation()

    def refuse(*_: object) -> None:
        raise ExternalServiceError("DescribeScalableTargets: AccessDenied")

    simulation.scaling.describe = refuse  # type: ignore[assignment, method-assign]
    rollback = simulation.run({"dry_run": True})
    assert rollback.outcome is Outcome.PLANNED
    assert any("AccessDenied" in part for part in changes_in(rollback).not_looked_at)


def test_the_document_for_programs_has_the_changes_and_each_check() -> None:
    rollback = ready_simulation().run({"dry_run": True})
    document = describe_plan(rollback)
    assert (document.running, document.target, document.outcome) == ("v2", "v1", "planned")
    assert rollback.plan is not None
    assert [c.name for c in document.checks] == [c.name for c in (*rollback.admission, *rollback.plan.checks)]
    assert type(document).model_validate_json(document.model_dump_json()) == document


def test_an_acting_rollback_is_not_delayed_by_the_list() -> None:
    rollback = ready_simulation().run()
    assert rollback.plan is not None
    assert rollback.plan.changes is None
