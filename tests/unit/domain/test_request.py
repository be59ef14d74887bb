import pytest

from rollback.domain.request import RollbackType, parse_request
from rollback.domain.settings.database import Strategy
from rollback.errors import InvalidRequest

ONE = ("express-api",)


@pytest.mark.parametrize("given", [{}, {"Comment": "Insert your JSON here"}])
def test_the_consoles_default_input_requests_a_service_rollback_of_the_only_service(given: object) -> None:
    request = parse_request(given, ONE)
    assert (request.type, request.service, request.target_version) == (RollbackType.SERVICE, "express-api", None)
    assert not request.force
    assert not request.dry_run


def test_a_typo_in_the_type_names_the_valid_values_and_the_closest_one() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_request({"type": "servcie"}, ONE)
    text = str(refused.value)
    assert "did you mean 'service'?" in text
    assert "service, database, full, emergency" in text
    assert "nothing was changed" in text


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"target_verison": "v1"}, "target_version"),
        ({"service": "web"}, "express-api"),
        ({"force": "yes"}, "true, false"),
        ({"target_version": 12}, "target_version"),
        ({"target_version": ""}, "last known good"),
        ([], "JSON object"),
        ("service", "JSON object"),
        ({"type": ["service"]}, "service, database"),
        ({"pr": 42}, '"type": "database"'),
        ({"type": "database", "pr": "42"}, "number of a pull request"),
        ({"type": "database", "strategy": "resett"}, "did you mean 'reset'"),
        ({"type": "database", "to": "2026-03-01 02:59"}, "time with its zone"),
        ({"type": "database", "undo": "r1", "strategy": "reset"}, "leave strategy, pr and to out"),
    ],
)
def test_every_other_mistake_is_refused_with_the_valid_values(given: object, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        parse_request(given, ONE)


def test_a_request_must_name_one_of_several_services() -> None:
    with pytest.raises(InvalidRequest, match="express-api, worker"):
        parse_request({}, ("express-api", "worker"))
    assert parse_request({"service": "worker"}, ("express-api", "worker")).service == "worker"


def test_a_database_rollback_can_name_a_pull_request_and_a_strategy() -> None:
    request = parse_request({"type": "database", "pr": 42, "strategy": "recreate"}, ONE)
    assert (request.type, request.pr, request.strategy) == (RollbackType.DATABASE, 42, Strategy.RECREATE)
