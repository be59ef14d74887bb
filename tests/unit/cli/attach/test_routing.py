"""Addresses of a service, by the rules of its listeners."""

from typing import Any

import pytest
from fakes.running_service import FakeRunningService, arn
from hypothesis import given
from hypothesis import strategies as st

from rollback_cli.attach.description.section import describe
from rollback_cli.attach.look_up import look_up
from rollback_cli.attach.names import ServiceName
from rollback_cli.attach.reading import Reader
from rollback_cli.attach.routing import matches

OTHER = arn("elasticloadbalancing", "targetgroup/other/1")


def with_listener(protocol: str = "HTTPS", port: int = 443, **more: object) -> tuple[FakeRunningService, str]:
    """Return a service whose one listener has a default action for another service."""
    aws = FakeRunningService()
    balancer = aws.only_balancer
    aws.listeners[balancer] = []
    return aws, aws.add_listener(balancer, protocol, port, OTHER, **more)


def address(aws: FakeRunningService, base_url: str | None = None) -> tuple[str | None, list[str]]:
    """Return the settings `base_url` and the paths of `endpoints`."""
    found = look_up(Reader(aws), ServiceName("shop-live", "Checkout_API"))
    service = describe(found, "checkout", base_url).service
    return service.get("base_url"), [endpoint["path"] for endpoint in service.get("endpoints", ())]


NONE: tuple[None, list[str]] = (None, [])


def test_the_host_of_a_rule_is_the_address() -> None:
    aws, listener = with_listener()
    aws.add_rule(listener, aws.only_group, hosts=("Shop.Example.com",))
    assert address(aws) == ("https://shop.example.com", ["/health"])


def test_an_unusual_port_is_part_of_the_address() -> None:
    aws, listener = with_listener("HTTPS", 8443)
    aws.add_rule(listener, aws.only_group, hosts=("shop.example.com",))
    assert address(aws) == ("https://shop.example.com:8443", ["/health"])


def test_https_is_preferred() -> None:
    aws = FakeRunningService()
    listener = aws.add_listener(aws.only_balancer, "HTTPS", 443, None)
    aws.add_rule(listener, aws.only_group, hosts=("shop.example.com",))
    assert address(aws)[0] == "https://shop.example.com"


def test_a_host_with_a_wildcard_names_no_address() -> None:
    aws, listener = with_listener()
    aws.add_rule(listener, aws.only_group, hosts=("*.example.com",))
    assert address(aws) == NONE


def test_a_listener_by_https_without_a_name_is_no_address() -> None:
    aws, _ = with_listener()
    aws.listeners[aws.only_balancer][0]["DefaultActions"] = [{"Type": "forward", "TargetGroupArn": aws.only_group}]
    assert address(aws) == NONE


def test_a_health_check_path_that_another_service_gets_is_no_endpoint() -> None:
    aws, listener = with_listener()
    aws.add_rule(listener, aws.only_group, hosts=("shop.example.com",), paths=("/checkout/*",))
    assert address(aws) == NONE
    aws.groups[aws.only_group]["HealthCheckPath"] = "/checkout/health"
    assert address(aws) == ("https://shop.example.com", ["/checkout/health"])


def test_an_earlier_rule_of_another_service_takes_the_request() -> None:
    aws, listener = with_listener()
    aws.add_rule(listener, OTHER, paths=("/hea*",))
    aws.add_rule(listener, aws.only_group, hosts=("shop.example.com",))
    assert address(aws) == NONE


def test_rules_are_evaluated_by_priority_and_not_in_the_order_of_the_answer() -> None:
    aws, listener = with_listener()
    aws.add_rule(listener, OTHER, paths=("/hea*",), Priority="20")
    aws.add_rule(listener, aws.only_group, hosts=("shop.example.com",), Priority="3")
    assert address(aws) == ("https://shop.example.com", ["/health"])


@pytest.mark.parametrize(
    "more",
    [
        {"Conditions": [{"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "x", "Values": ["y"]}}]},
        {"Conditions": [{"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}}]},
        {"Conditions": [{"Field": "host-header", "RegexValues": [".*"], "HostHeaderConfig": {"RegexValues": [".*"]}}]},
        {"Transforms": [{"Type": "url-rewrite"}]},
    ],
)
def test_a_rule_that_looks_at_more_than_host_and_path_is_not_certain(more: dict[str, Any]) -> None:
    aws, listener = with_listener()
    aws.add_rule(listener, OTHER, **more)
    aws.add_rule(listener, aws.only_group, hosts=("shop.example.com",))
    assert address(aws) == NONE


def test_a_login_before_the_service_is_no_endpoint() -> None:
    aws, listener = with_listener()
    actions = [
        {"Type": "authenticate-oidc", "Order": 1},
        {"Type": "forward", "TargetGroupArn": aws.only_group, "Order": 2},
    ]
    aws.add_rule(listener, aws.only_group, hosts=("shop.example.com",), Actions=actions)
    assert address(aws) == NONE


def test_a_listener_that_asks_clients_for_a_certificate_is_no_endpoint() -> None:
    aws, listener = with_listener(MutualAuthentication={"Mode": "verify"})
    aws.add_rule(listener, aws.only_group, hosts=("shop.example.com",))
    assert address(aws) == NONE


def test_a_rule_that_forwards_a_part_of_the_requests_elsewhere_is_not_certain() -> None:
    aws, listener = with_listener()
    groups = [{"TargetGroupArn": aws.only_group, "Weight": 1}, {"TargetGroupArn": OTHER, "Weight": 1}]
    actions = [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]
    aws.add_rule(listener, aws.only_group, hosts=("shop.example.com",), Actions=actions)
    assert address(aws) == NONE


def test_grpc_has_no_endpoint() -> None:
    aws = FakeRunningService()
    aws.groups[aws.only_group]["ProtocolVersion"] = "GRPC"
    assert address(aws) == NONE


@pytest.mark.parametrize(("codes", "status"), [("200", 200), ("204", 204), ("200-299", 200), ("301,302", 301)])
def test_the_answer_of_the_health_check_is_expected(codes: str, status: int) -> None:
    aws = FakeRunningService()
    aws.groups[aws.only_group]["Matcher"] = {"HttpCode": codes}
    found = look_up(Reader(aws), ServiceName("shop-live", "Checkout_API"))
    section = describe(found, "checkout")
    (endpoint,) = section.service["endpoints"]
    assert endpoint.get("status", 200) == status
    (advice,) = [one.advice for one in section.decisions if "endpoints" in one.question]
    assert (f"accepts {codes}" in advice) == (not codes.isdigit())


def test_an_address_that_the_operator_gave_is_used_and_its_route_is_checked() -> None:
    aws, listener = with_listener()
    aws.add_rule(listener, aws.only_group, hosts=("*.example.com",))
    assert address(aws, "https://shop.example.com") == ("https://shop.example.com", ["/health"])
    assert address(aws, "https://shop.example.org") == ("https://shop.example.org", [])
    assert address(aws, "https://shop.example.com/v2") == ("https://shop.example.com/v2", ["/health"])


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        ("/a/*", "/a/b/c", True),
        ("/a/*", "/a", False),
        ("/a?", "/ab", True),
        ("/a?", "/a", False),
        ("/a.b", "/axb", False),
        ("*", "", True),
    ],
)
def test_patterns_match_as_elb_documents_them(pattern: str, text: str, is_match: bool) -> None:
    assert matches(pattern, text) is is_match


def test_hosts_are_compared_without_case_and_paths_with_it() -> None:
    assert matches("SHOP.example.com", "shop.example.com", ignore_case=True)
    assert not matches("/Health", "/health")


@given(st.text())
def test_a_pattern_without_wildcards_matches_its_own_text_only(text: str) -> None:
    plain = text.replace("*", "").replace("?", "")
    assert matches(plain, plain)
    assert not matches(plain, plain + "x")
