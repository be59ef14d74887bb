"""The file `cdk.json`: a service is added, nothing is lost, and a file that can't be understood is left alone."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback.errors import InvalidRequest
from rollback_cli.attach import cdk_json
from rollback_constructs.feature_flags import FEATURE_FLAGS

SERVICE: dict[str, Any] = {
    "name": "checkout", "cluster": "shop-live", "ecs_service": "checkout", "container": "web",
    "endpoints": [{"path": "/health"}], "existing": {"log_group": "/new"},
}  # fmt: skip
NEW: dict[str, Any] = {"account": "123456789012", "region": "eu-west-1", "policy": {"mode": "observe"}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=4)


def merge(document: dict[str, Any], **options: Any) -> dict[str, Any]:
    return cdk_json.merge(document, "production", SERVICE, NEW, **options)


def services(document: dict[str, Any], environment: str = "production") -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = document["context"]["environments"][environment]["services"]
    return listed


def with_services(*listed: dict[str, Any], environment: str = "production", **settings: Any) -> dict[str, Any]:
    return {"app": "x", "context": {"environments": {environment: {**settings, "services": list(listed)}}}}


def test_without_a_file_a_whole_one_is_made() -> None:
    document = merge({})
    assert document["app"] == "python -m rollback_constructs.app"
    assert document["context"].items() >= FEATURE_FLAGS.items()
    assert document["context"]["environments"]["production"] == {**NEW, "services": [SERVICE]}


@given(top=OBJECTS, context=OBJECTS, others=st.dictionaries(st.text(), OBJECTS, max_size=3), settings=OBJECTS)
def test_nothing_in_the_file_is_lost(
    top: dict[str, Any], context: dict[str, Any], others: dict[str, Any], settings: dict[str, Any]
) -> None:
    for one in (*others.values(), settings):
        one["services"] = [{"name": "other", "cluster": "c", "ecs_service": "s"}]
    settings = {key: value for key, value in settings.items() if key not in {"account", "region"}}
    environments = {**others, "production": settings}
    document = {**top, "context": {**context, "environments": environments}}
    original = json.dumps(document).encode()
    merged = json.loads(cdk_json.render(merge(json.loads(original)), original))
    added = services(merged).pop()
    assert added == SERVICE
    assert merged == document
    assert list(merged) == list(document)  # the order of the keys too
    assert list(merged["context"]) == list(document["context"])


@given(OBJECTS)
def test_rendered_text_is_read_as_the_same_document(document: dict[str, Any]) -> None:
    assert json.loads(cdk_json.render(document, None)) == document


@given(st.sampled_from(["  ", "    ", "\t", " "]), OBJECTS)
def test_the_indent_of_the_file_is_kept(indent: str, document: dict[str, Any]) -> None:
    original = json.dumps({"app": "x", **document}, indent=indent).encode()
    lines = cdk_json.render(merge({"app": "x"}), original).decode().splitlines()
    assert lines[1].startswith(f'{indent}"')


def test_a_second_service_of_an_environment_keeps_its_settings() -> None:
    first = {"name": "api", "cluster": "shop-live", "ecs_service": "api"}
    document = merge(with_services(first, policy={"mode": "act"}, account="123456789012"))
    assert services(document) == [first, SERVICE]
    environment = document["context"]["environments"]["production"]
    assert environment["policy"] == {"mode": "act"}
    assert "region" not in environment


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (with_services(SERVICE), "describes this ECS service already, as 'checkout'; add --replace"),
        (
            with_services({**SERVICE, "cluster": "arn:aws:ecs:eu-west-1:123456789012:cluster/shop-live"}),
            "describes this ECS service already",
        ),
        (with_services({**SERVICE, "ecs_service": "other"}), "for another ECS service; add --name NAME"),
        (with_services(SERVICE, environment="staging"), "context.environments.staging.services.0 describes this"),
        (with_services({**SERVICE, "workload": {}}), "has a workload: this product's own stack deploys the service"),
        (with_services(account="999999999999"), "account is '999999999999', and the service is in 123456789012"),
        (with_services(region="us-east-1"), "production.region is 'us-east-1', and the service is in eu-west-1"),
        ({"context": []}, "context is "),
        ({"context": {"environments": "x"}}, "context.environments is 'x'"),
        ({"context": {"environments": {"prod": 1}}}, "context.environments.prod is 1"),
        ({"context": {"environments": {"production": {"services": {}}}}}, "production.services is "),
        ({"context": {"environments": {"production": {"services": [1]}}}}, "production.services.0 is 1"),
    ],
)  # fmt: skip
def test_a_file_with_another_meaning_is_refused(document: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        merge(document)
    assert problem in str(refused.value)


def test_a_service_is_renewed_and_keeps_what_the_team_wrote() -> None:
    written = {
        **SERVICE, "endpoints": [{"path": "/our/own"}], "commit_from": "tag", "stack": "old",
        "existing": {"log_group": "/old", "repository": "gone"},
    }  # fmt: skip
    (renewed,) = services(merge(with_services(written), replaces=True))
    assert renewed["endpoints"] == [{"path": "/our/own"}]
    assert renewed["commit_from"] == "tag"
    assert renewed["existing"] == {"log_group": "/new"}
    assert "stack" not in renewed


def test_a_load_balancer_that_is_shared_now_is_not_called_exclusive_any_more() -> None:
    (renewed,) = services(merge(with_services({**SERVICE, "load_balancer_shared": False}), replaces=True))
    assert "load_balancer_shared" not in renewed


@pytest.mark.parametrize(("pattern", "group"), [("ERROR", "/shared"), (None, None)])
def test_a_log_group_with_a_pattern_of_the_teams_own_is_kept(pattern: str | None, group: str | None) -> None:
    written = {**SERVICE, "error_log_pattern": pattern, "existing": {"log_group": "/shared"}}
    without_group = {**SERVICE, "existing": {}}
    document = cdk_json.merge(with_services(written), "production", without_group, NEW, replaces=True)
    assert services(document)[0]["existing"].get("log_group") == group


def test_a_service_that_is_described_in_another_environment_is_not_renewed() -> None:
    with pytest.raises(InvalidRequest, match="remove that one first"):
        merge(with_services(SERVICE, environment="staging"), replaces=True)


def test_the_name_of_the_application_is_written_once() -> None:
    assert merge({}, application="shop")["context"]["application"] == {"name": "shop"}
    named = {"context": {"application": {"name": "shop", "stack_name": "Shop"}}}
    assert merge(named, application="shop")["context"]["application"] == named["context"]["application"]
    with pytest.raises(InvalidRequest, match="name is 'shop'"):
        merge(named, application="store")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not valid JSON"),
        ("[]", "holds no JSON object"),
        ('{"a": 1, "a": 2}', "has the key 'a' twice"),
        ('{"a": 1e999}', "too large a number"),
        ('{"a": NaN}', "NaN is no JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("// comment\n{}", "is not valid JSON"),
    ],
)
def test_a_file_that_a_rewrite_would_change_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    file = tmp_path / "cdk.json"
    file.write_text(content)
    with pytest.raises(InvalidRequest) as refused:
        cdk_json.read(file)
    assert problem in str(refused.value)


def test_a_file_is_replaced_in_one_step_with_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "cdk.json"
    file.write_bytes(b"{}")
    file.chmod(0o640)
    cdk_json.write(file, b"new", b"{}")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    real, link = tmp_path / "shared" / "cdk.json", tmp_path / "cdk.json"
    real.write_bytes(b"{}")
    link.symlink_to(real)
    cdk_json.write(link, b"new", b"{}")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


@pytest.mark.parametrize("original", [None, b"{}"])
def test_a_file_that_another_process_changed_is_left_alone(tmp_path: Path, original: bytes | None) -> None:
    file = tmp_path / "cdk.json"
    file.write_bytes(b"changed")
    with pytest.raises(InvalidRequest, match="was changed meanwhile"):
        cdk_json.write(file, b"new", original)
    assert file.read_bytes() == b"changed"


def test_a_failed_write_leaves_the_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cdk.json"
    file.write_bytes(b"{}")

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space"):
        cdk_json.write(file, b"new", b"{}")
    assert file.read_bytes() == b"{}"
    assert list(tmp_path.iterdir()) == [file]
