"""Where two parts of a rollback of data meet: each is right by itself, and together they must be too."""

from builders import SERVICE
from stage_of_writers import StageOfWriters
from stage_with_database import GOOD, StageWithDatabase

from rollback.model.errors import OutsideFailure
from rollback.model.operators import Operator
from rollback.model.policy import Policy
from rollback.model.rollback import Outcome, Rollback
from rollback.model.route import Step
from rollback.steps import janitor
from rollback.steps.levers import abort

ADA = Operator(name="ada@desk", reason="stop it")
FULL = {"type": "full", "service": SERVICE, "target_version": "v1"}


def behind_its_fence(stage: StageWithDatabase) -> Rollback:
    rollback = stage.admit(FULL)
    while rollback.database is None or rollback.database.head is None:
        rollback = stage.take(rollback)
    return rollback


def test_every_writer_is_started_by_the_rollback_that_inherited_a_person_s_fence_and_succeeds() -> None:
    """Writers are started before the verification, which is before the success that lifts such a fence."""
    stage = StageOfWriters(Policy(database_approval="none"))
    first = behind_its_fence(stage)
    abort(first.id, ADA, stage.world)
    heir = stage.admit({**FULL, "force": True, "reason": "Ada knows"}, "execution-2")
    assert heir.inherits_fence_of == first.id
    stage.run_on(first)
    done = stage.read(stage.run_on(heir))
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    assert stage.rows() == GOOD
    assert (stage.services.desired_count, stage.worker.desired_count) == (2, 2)
    assert done.left_to_operator() == ()


def test_a_page_that_could_not_be_sent_is_sent_later_although_the_account_was_told() -> None:
    stage = StageWithDatabase()
    stage.cures.clear()  # v1 is no better: the rollback fails
    rollback = stage.admit()
    while rollback.outcome is None:
        rollback = stage.take(rollback)
    real = stage.notifications.publish

    def silent(*_: object, **__: object) -> None:
        raise OutsideFailure("SNS does not answer")

    stage.notifications.publish = silent  # type: ignore[method-assign]
    rollback = stage.go(rollback, Step.ACCOUNT)
    assert not rollback.reported
    stage.notifications.publish = real  # type: ignore[method-assign]
    stage.go(rollback)
    assert stage.pages() == []
    janitor_done = list(janitor.sweep(stage.world))
    assert len(stage.pages()) == 1, janitor_done
