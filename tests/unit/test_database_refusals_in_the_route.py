"""Why a database can't go back, told at the end of the route: what to do is in the report, and nothing was changed."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from builders import SERVICE, image
from fakes import FakeScaling
from stage import AUTOSCALED
from stage_with_database import BAD, BRANCH, GOOD, StageWithDatabase

from rollback.model.database_errors import AccessRefused, ProjectLocked
from rollback.model.rollback import Outcome
from rollback.model.service_view import ScalableTarget

Obstacle = Callable[[StageWithDatabase, ExitStack], None]


def outside_the_window(stage: StageWithDatabase, _: ExitStack) -> None:
    stage.neon.retention_seconds = 20 * 60  # v2's checkpoint was half an hour ago


def no_root_left(stage: StageWithDatabase, _: ExitStack) -> None:
    stage.neon.root_branch_limit = 3
    for name in ("an-old-backup", "another"):
        kept = stage.neon.create_branch(name, BRANCH).branch
        stage.neon.settle()
        stage.neon._update(kept.id, parent_id=None)


def has_children(stage: StageWithDatabase, _: ExitStack) -> None:
    stage.neon.create_branch("staging", BRANCH)
    stage.neon.settle()


def unknown_writer(stage: StageWithDatabase, end: ExitStack) -> None:
    end.enter_context(stage.sql.connected(BRANCH, "owner", "nightly-batch"))


def no_such_branch(stage: StageWithDatabase, _: ExitStack) -> None:
    other = stage.database.model_copy(update={"branch_id": "br-999"})
    stage.replace(settings=stage.world.settings.model_copy(update={"database": other}))
    for point in stage.ledger.restore_points(stage.branch_key):
        stage.ledger.put_restore_point(point.model_copy(update={"branch": other.lease_of(None)}))
    seen = stage.ledger.observation(stage.branch_key)
    assert seen is not None
    stage.ledger.put_observation(seen.model_copy(update={"branch": other.lease_of(None)}))


class _WrongKey:
    def __getattr__(self, name: str) -> Any:
        def refuse(*_: object, **__: object) -> Any:
            raise AccessRefused("GET /projects/local: 401 authentication required: is the API key still valid?")

        return refuse


def wrong_key(stage: StageWithDatabase, _: ExitStack) -> None:
    stage.replace(databases=_WrongKey())


OBSTACLES: dict[Obstacle, tuple[str, ...]] = {
    outside_the_window: ("not within what Neon keeps", "keep history for longer"),
    no_root_left: ("3 of 3 root branches", "delete a backup"),
    has_children: ("staging would move", "delete or reset them first"),
    unknown_writer: ("nightly-batch", "add the service to the writers"),
    no_such_branch: ("has no branch br-999", "main (br-1)"),
    wrong_key: ("401", "API key"),
}


@pytest.mark.parametrize(("obstacle", "said"), OBSTACLES.items(), ids=[one.__name__ for one in OBSTACLES])
def test_it_is_refused_with_what_to_do_and_everything_is_as_it_was(obstacle: Obstacle, said: tuple[str, ...]) -> None:
    stage = StageWithDatabase()
    scaling = FakeScaling(stage.services, AUTOSCALED)
    stage.replace(scaling=scaling)
    desired = stage.services.desired_count
    with ExitStack() as end:
        obstacle(stage, end)
        stage.neon.calls.clear()
        ended = stage.read(stage.run())

    assert ended.outcome is Outcome.REFUSED, ended.reason
    for words in said:
        assert words in stage.pages()[-1]
    assert stage.neon.calls == []
    assert stage.rows() == GOOD + BAD
    assert stage.branch.protected
    assert (stage.running(), stage.services.desired_count) == (image("v2"), desired)
    assert scaling.target == ScalableTarget.model_validate(dict(AUTOSCALED))
    assert ended.open_obligations() == ended.left_to_operator() == ()
    assert stage.ledger.lease(SERVICE) is None
    assert stage.ledger.lease(stage.branch_key) is None


@pytest.mark.parametrize("call", ["create_branch", "restore", "update_branch"])
def test_a_project_that_is_locked_for_two_minutes_is_waited_for(call: str) -> None:
    stage = StageWithDatabase()
    for _ in range(12):
        stage.neon.refuse_next(call, ProjectLocked("423: project already has running conflicting operations", 10))
    began = stage.clock.now()
    ended = stage.read(stage.run())

    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert (stage.clock.now() - began).total_seconds() >= 120
    assert stage.rows() == GOOD
    assert stage.branch.protected
    backup = stage.backup(ended)
    assert backup is not None
    assert stage.neon.rows(backup.id) == GOOD + BAD
