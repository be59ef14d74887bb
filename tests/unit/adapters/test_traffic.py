"""Results of GetMetricData as minutes of traffic."""

from datetime import timedelta
from typing import Any

import pytest
from support.builders import NOW

from rollback.adapters.aws.traffic import traffic_minutes, traffic_queries
from rollback.errors import ExternalServiceError

PAIRS = (("targetgroup/a/1", "app/x/1"), ("targetgroup/b/2", "app/x/1"))


def result(id_: str, *values: float, first_minute: int = 0, status: str = "Complete") -> dict[str, Any]:
    times = [NOW + timedelta(minutes=first_minute + number) for number in range(len(values))]
    return {"Id": id_, "StatusCode": status, "Timestamps": times, "Values": list(values)}


def test_counts_of_target_groups_are_added_and_the_slowest_answer_time_is_kept() -> None:
    results = [result("requests_0", 10), result("requests_1", 5), result("p95_0", 0.2), result("p95_1", 0.9)]
    (minute,) = traffic_minutes(results, NOW, with_balancer_errors=False)
    assert (minute.requests, minute.p95_seconds, minute.balancer_errors) == (15, 0.9, None)


def test_a_minute_without_a_count_has_zero_requests_up_to_the_last_known_minute() -> None:
    minutes = traffic_minutes([result("requests_0", 7, first_minute=2)], NOW, with_balancer_errors=True)
    assert [minute.requests for minute in minutes] == [0, 0, 7]
    assert [minute.balancer_errors for minute in minutes] == [0, 0, 0]


def test_no_data_is_no_minute_of_zero_requests() -> None:
    assert traffic_minutes([result("requests_0")], NOW, with_balancer_errors=True) == ()


def test_an_unanswered_query_is_no_zero() -> None:
    with pytest.raises(ExternalServiceError, match="InternalError"):
        traffic_minutes([result("requests_0", status="InternalError")], NOW, with_balancer_errors=False)


def test_the_load_balancers_own_errors_are_asked_for_once_and_only_on_request() -> None:
    ids = [query["Id"] for query in traffic_queries(PAIRS, with_balancer_errors=True)]
    assert ids.count("balancererrors_0") == 1
    assert len(ids) == 7
    assert len(list(traffic_queries(PAIRS, with_balancer_errors=False))) == 6
