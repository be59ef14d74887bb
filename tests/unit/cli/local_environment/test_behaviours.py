"""Every behaviour that `rollback local ship` offers is the behaviour of the embedded application."""

import pytest

from local_cloud.app.application import Behaviour as Application
from rollback.errors import InvalidRequest
from rollback_cli.local_environment.behaviours import BEHAVIOURS, find_behaviour, help_text, with_statements

FAILED_PERCENT = {"healthy": 0, "errors": 60, "slow": 0, "unhealthy": 0}


@pytest.mark.parametrize("name", FAILED_PERCENT)
def test_the_application_fails_as_many_requests_as_the_description_says(name: str) -> None:
    application = Application(dict(BEHAVIOURS[name].image))
    statuses = [application.status_of("/api/status") for _ in range(1000)]
    assert round(statuses.count(500) / 10) == FAILED_PERCENT[name]


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_only_an_unhealthy_release_fails_its_first_health_checks(name: str) -> None:
    application = Application(dict(BEHAVIOURS[name].image))
    assert application.status_of("/health") == (500 if name == "unhealthy" else 200)


def test_a_slow_release_is_slower_than_the_latency_alarm_allows() -> None:
    from rollback_cli.local_environment.profile import ALARMS  # noqa: PLC0415 - next to its only use

    delay = Application(dict(BEHAVIOURS["slow"].image)).delay_of("/api/status")
    assert delay > ALARMS["max_p95_latency_seconds"]


def test_a_release_that_is_not_known_to_be_bad_is_the_only_good_one() -> None:
    assert [name for name, behaviour in BEHAVIOURS.items() if behaviour.is_good] == ["healthy"]


def test_an_unknown_behaviour_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(InvalidRequest) as refused:
        find_behaviour("eror")
    assert all(name in str(refused.value) for name in BEHAVIOURS)
    assert "nothing was shipped" in str(refused.value)


def test_the_help_explains_every_behaviour() -> None:
    assert all(f"{name}: {behaviour.description}" in help_text() for name, behaviour in BEHAVIOURS.items())


def test_statements_are_added_to_the_image_of_one_release_only() -> None:
    with_database = with_statements(BEHAVIOURS["errors"], {"reads": "SELECT 1"})
    assert with_database.image == {**BEHAVIOURS["errors"].image, "reads": "SELECT 1"}
    assert "reads" not in BEHAVIOURS["errors"].image
