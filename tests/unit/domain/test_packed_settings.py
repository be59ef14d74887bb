"""Settings in a variable: packed where they are long, read again exactly, and damage is told."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback.domain.settings.environment import HealthEndpoint, ServiceSettings, Settings
from rollback.domain.settings.packed import pack, parse_settings


def settings_of(names: list[str]) -> Settings:
    services = tuple(
        ServiceSettings(
            name=name,
            cluster="production",
            ecs_service=f"{name}-service",
            container=name,
            base_url=f"https://{name}.internal.shop.example",
            endpoints=(HealthEndpoint(path="/health"), HealthEndpoint(path="/api/status")),
            stack=f"{name.title().replace('-', '')}Stack",
        )
        for name in names
    )
    return Settings(application="shop", environment="production", services=services)


names = st.lists(st.from_regex(r"[a-z][a-z0-9]{1,20}", fullmatch=True), min_size=1, max_size=30, unique=True)


@given(names=names)
def test_packed_settings_are_read_as_they_were(names: list[str]) -> None:
    settings = settings_of(names)
    text = settings.model_dump_json(exclude_defaults=True)
    assert parse_settings(pack(text)) == parse_settings(text) == settings
    assert '"' not in pack(text)  # Lambda counts each quote twice


def test_the_same_settings_have_the_same_text_so_that_no_deployment_changes_a_function_for_nothing() -> None:
    text = settings_of(["checkout", "billing"]).model_dump_json(exclude_defaults=True)
    assert pack(text) == pack(text)


def test_the_settings_of_forty_services_take_half_of_the_room() -> None:
    text = settings_of([f"service-{number}" for number in range(40)]).model_dump_json(exclude_defaults=True)
    assert len(text) > 9_000
    assert len(pack(text)) < 1_750


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("z:no base64!", "the packed settings are damaged"),
        ("z:" + base64.b64encode(b"no zlib").decode(), "the packed settings are damaged"),
        (pack('{"application": "shop"}')[:-8] + "AAAAAAA=", "the packed settings are"),
        ("z:" + base64.b64encode(zlib.compress(b"x" * 100)[:8]).decode(), "the packed settings are cut off"),
        ("z:" + base64.b64encode(zlib.compress(b" " * 2_000_000)).decode(), "the packed settings are cut off"),
        (pack("{}"), "application"),
        ("", "Invalid JSON"),
    ],
)
def test_damaged_settings_are_told(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        parse_settings(text)
