"""The moves of a drill: one restart of the service, and no change of the branch."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from support.builders import NOW

from rollback.database.restore.next_action import RestoreMove, RestoreSnapshot, next_rehearsal_move
from rollback.domain.database.progress import OriginalBranch, RestorePoint, RestoreProgress
from rollback.domain.plan import ServiceBaseline
from rollback.domain.service_progress import ServiceProgress
from rollback.resources.database.neon import Branch
from rollback.service.drill_restart import next_drill_move
from rollback.service.next_action import SERVICE_CHANGES, ServiceMove

BASELINE = ServiceBaseline(definition_arn="arn:task:1", desired_count=2, deployment_id="ecs-svc/1")
BEGUN = ServiceProgress(started_at=NOW, escalation_level_since=NOW)


@given(move=st.sampled_from(ServiceMove), has_restarted=st.booleans(), has_acted=st.booleans())
def test_a_drill_restarts_a_settled_service_once_and_makes_no_other_change(
    move: ServiceMove, has_restarted: bool, has_acted: bool
) -> None:
    progress = BEGUN.evolve(acted_at=NOW) if has_acted else BEGUN
    chosen = next_drill_move(move, progress, BASELINE, "ecs-svc/2" if has_restarted else "ecs-svc/1")
    is_restart_due = move is ServiceMove.DONE and not has_restarted and not has_acted
    assert (chosen in SERVICE_CHANGES) is is_restart_due
    assert chosen is not ServiceMove.DONE or has_restarted


def branch(name: str) -> Branch:
    return Branch(
        id=f"br-{name}",
        name=name,
        current_state="ready",
        default=False,
        protected=False,
        created_at=NOW,
        updated_at=NOW,
    )


@given(
    has_preview=st.booleans(),
    is_checked=st.booleans(),
    is_given_up=st.booleans(),
    is_running=st.booleans(),
)
def test_a_drill_of_the_database_never_changes_the_branch(
    has_preview: bool, is_checked: bool, is_given_up: bool, is_running: bool
) -> None:
    progress = RestoreProgress(
        started_at=NOW,
        before=OriginalBranch(id="br-main", name="main", protected=True),
        point=RestorePoint(at=NOW - timedelta(hours=1)),
    )
    if is_checked:
        progress = progress.evolve(preview_lsn="0/1")
    if is_given_up:
        progress = progress.mark_failed("the tables do not fit", NOW)
    snapshot = RestoreSnapshot(
        branch=branch("main"),
        preview=branch("preview") if has_preview else None,
        operations="running" if is_running else "succeeded",
    )
    move = next_rehearsal_move(snapshot, progress)
    assert move in {
        RestoreMove.WAIT_FOR_OPERATIONS,
        RestoreMove.CREATE_PREVIEW,
        RestoreMove.CHECK_PREVIEW,
        RestoreMove.DELETE_PREVIEW,
        RestoreMove.DONE,
        RestoreMove.END,
    }
    if move in (RestoreMove.DONE, RestoreMove.END):
        assert not has_preview
