import pytest

from rollback.domain.request import RollbackType, parse_request
from rollback.domain.settings.database import Strategy
from rollback.errors import InvalidRequest

ONE_SERVICE = ("express-api",)


@pytest.mark.parametrize("execution_input", [{}, {"Comment": "Insert your JSON here"}])
def test_the_consoles_default_input_requests_a_service_rollback_of_the_only_service(execution_input: object) -> None:
    request = parse_request(execution_input, ONE_SERVICE)
    assert (request.type, request.service, request.target_version) == (RollbackType.SERVICE, "express-api", None)
    assert not request.force
    assert not request.dry_run


def test_a_typo_in_the_type_is_refused_with_the_valid_values_and_the_closest_value() -> None:
    with pytest.raises(InvalidRequest) as error:
        parse_request({"type": "servcie"}, ONE_SERVICE)
    text = str(error.value)
    assert "did you mean 'service'?" in text
    assert "service, database, full, emergency" in text
    assert "nothing was changed" in text


@pytest.mark.parametrize(
    ("execution_input", "expected_text"),
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
def test_every_other_mistake_is_refused_with_the_valid_values(execution_input: object, expected_text: str) -> None:
    with pytest.raises(InvalidRequest, match=expected_text):
        parse_request(execution_input, ONE_SERVICE)


def test_a_request_must_name_one_of_several_services() -> None:
    with pytest.raises(InvalidRequest, match="express-api, worker"):
        parse_request({}, ("express-api", "worker"))
    assert parse_request({"service": "worker"}, ("express-api", "worker")).service == "worker"


def test_a_database_rollback_can_name_a_pull_request_and_a_strategy() -> None:
    request = parse_request({"type": "database", "pr": 42, "strategy": "recreate"}, ONE_SERVICE)
    assert (request.type, request.pr, request.strategy) == (RollbackType.DATABASE, 42, Strategy.RECREATE)
