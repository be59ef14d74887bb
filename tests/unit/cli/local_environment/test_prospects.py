"""`rollback local ship` says what will happen, and what stands in the way of a rollback."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.builders import NOW, release

from rollback.domain.ledger.index import ChangeEntry
from rollback.domain.releases.release import ReleaseState
from rollback.domain.request import RollbackType, Trigger
from rollback.domain.settings.policy import Policy
from rollback_cli.local_environment.behaviours import BEHAVIOURS
from rollback_cli.local_environment.prospects import Situation, prospects

POLICY = Policy(correlation_window_minutes=2)
PROMOTED = release("v1", state=ReleaseState.PROMOTED)
QUIET = Situation(releases=(PROMOTED,), changes=(), is_paused=False, has_traffic=True, now=NOW)


def change(minutes_ago: float, trigger: Trigger = Trigger.ALARM) -> ChangeEntry:
    at = NOW - timedelta(minutes=minutes_ago)
    return ChangeEntry(
        rollback_id="r1", trigger=trigger, type=RollbackType.SERVICE, created_at=at, admitted_at=at, has_acted=True
    )


def said(behaves: str, **changes: Any) -> str:
    situation = replace(QUIET, **changes)
    return "\n".join(prospects("v2", BEHAVIOURS[behaves], situation, POLICY, "production"))


@pytest.mark.parametrize("behaves", BEHAVIOURS)
def test_every_behaviour_is_described_with_the_events_that_follow(behaves: str) -> None:
    text = said(behaves)
    assert f"v2 is being deployed. It {BEHAVIOURS[behaves].description}." in text
    assert BEHAVIOURS[behaves].expectation in text
    assert "But" not in text
    assert "rollback status production" in text


@pytest.mark.parametrize(
    ("changes", "obstacle"),
    [
        ({"releases": (release("v1", state=ReleaseState.CANDIDATE),)}, "no release is promoted yet"),
        ({"is_paused": True}, "rollback resume production"),
        ({"changes": (change(1.5),)}, "Before 03:00:30 UTC another one"),
    ],
    ids=["nothing promoted", "paused", "a rollback just now"],
)
def test_an_obstacle_to_the_rollback_of_a_bad_release_is_said(changes: dict[str, Any], obstacle: str) -> None:
    assert obstacle in said("errors", **changes)
    assert obstacle not in said("healthy", **changes)


def test_a_rollback_by_hand_or_before_the_window_is_no_obstacle() -> None:
    assert "But" not in said("errors", changes=(change(1, Trigger.MANUAL), change(2.5)))


def test_without_traffic_the_command_that_sends_some_is_named() -> None:
    assert "rollback local traffic" in said("healthy", has_traffic=False)
    assert "rollback local traffic" not in said("healthy")
