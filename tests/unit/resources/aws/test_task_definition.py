"""The normal form of definitions: golden answers, ignored members, and records of earlier versions."""

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from support.builders import definition, image, release

from rollback.domain.releases.identity import build_identity, find_matching_release, former_fingerprint
from rollback.domain.releases.release import fingerprint, normalised_definition
from rollback.resources.aws.task_definition import ALLOWED, normal_form

GOLDEN = sorted((Path(__file__).parents[3] / "golden" / "definitions").glob("*.json"))
# Fingerprint of builders' `v1` as ledgers before the allow-list have it.
FORMER_FINGERPRINT = "85f699c28a7be0967a178be8df8a9a81332905815e2fca602f208f7f8a873e77"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_an_answer_of_ecs_has_the_recorded_normal_form_and_fingerprint(path: Path) -> None:
    """A change here gives every release in every ledger another identity: see docs/ledger.md first."""
    golden = json.loads(path.read_text())
    assert normal_form(golden["answer"], golden["images"]) == golden["normal_form"]
    assert fingerprint(golden["answer"], golden["images"]) == golden["fingerprint"]


def with_added_members(value: Any, added: dict[str, Any]) -> Any:
    """Add members to each structure of the value."""
    if isinstance(value, dict):
        return {**{name: with_added_members(member, added) for name, member in value.items()}, **added}
    return [with_added_members(member, added) for member in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_members_that_aws_adds_do_not_change_the_fingerprint(path: Path) -> None:
    golden = json.loads(path.read_text())
    answer = golden["answer"]
    maps = {"options", "dockerLabels", "driverOpts", "labels"}  # the keys of these are the team's own
    containers = [
        {name: member if name in maps | {"logConfiguration"} else with_added_members(member, {"ofTomorrow": False})
         for name, member in container.items()} | {"ofTomorrow": {"deep": [1]}}
        for container in answer["containerDefinitions"]
    ]  # fmt: skip
    answer = {**answer, "containerDefinitions": containers, "deleteRequestedAt": 1.5, "ofTomorrow": {"enabled": True}}
    assert fingerprint(answer, golden["images"]) == golden["fingerprint"]


def test_unknown_members_of_a_definition_are_stored() -> None:
    task_definition = definition("v1", ofTomorrow={"enabled": True}, deleteRequestedAt=1.5, registeredBy="arn:x")
    task_definition["containerDefinitions"][0]["ofTomorrow"] = 1
    stored = normalised_definition(task_definition, {})
    assert stored["ofTomorrow"] == {"enabled": True}
    assert stored["containerDefinitions"][0]["ofTomorrow"] == 1
    assert stored.keys().isdisjoint({"deleteRequestedAt", "registeredBy", "taskDefinitionArn", "status", "family"})
    assert fingerprint({**stored, "family": "again"}, {}) == fingerprint(task_definition, {})


@pytest.mark.parametrize(
    ("member", "value"), [("essential", False), ("readonlyRootFilesystem", True), ("versionConsistency", "disabled")]
)
def test_a_value_that_differs_from_the_default_is_another_release(member: str, value: object) -> None:
    task_definition = definition("v1")
    task_definition["containerDefinitions"][0][member] = value
    assert fingerprint(task_definition, {}) != fingerprint(definition("v1"), {})


def test_the_allow_list_has_exactly_the_members_of_the_sdk() -> None:
    """A member that a newer SDK takes has to be decided on: counted (another fingerprint), or left out by name."""
    shape: Any = botocore.session.get_session().get_service_model("ecs").shape_for("RegisterTaskDefinitionRequest")
    assert allowed_paths(ALLOWED) == sdk_paths(shape) - {"family", "tags", "tags.key", "tags.value"}


def allowed_paths(allowed: Any, path: str = "") -> set[str]:
    paths = {f"{path}{name}" for name in allowed}
    return paths.union(
        *(
            allowed_paths(allowed_members, f"{path}{name}.")
            for name, allowed_members in allowed.items()
            if allowed_members is not None
        )
    )


def sdk_paths(shape: Any, path: str = "") -> set[str]:
    if shape.type_name == "list":
        return sdk_paths(shape.member, path)
    if shape.type_name != "structure":
        return set()
    return {f"{path}{name}" for name in shape.members}.union(
        *(sdk_paths(member_shape, f"{path}{name}.") for name, member_shape in shape.members.items())
    )


# Ledgers that were written before


def test_a_release_that_was_recorded_under_the_former_fingerprint_is_found() -> None:
    old_release = release("v1", fingerprint=FORMER_FINGERPRINT, definition_arn="arn:elsewhere:1")
    assert former_fingerprint(definition("v1"), {}) == FORMER_FINGERPRINT
    assert find_matching_release(build_identity(definition("v1"), {}), [release("v2"), old_release]) == old_release


def test_the_same_registered_definition_is_the_same_release_despite_added_members() -> None:
    old_release = release("v1", fingerprint="0" * 64)
    described_definition = definition("v1", cpu="256", enableFaultInjection=True)
    assert find_matching_release(build_identity(described_definition, {}), [old_release]) == old_release


def test_the_same_definition_with_another_digest_is_another_release() -> None:
    tagged = definition("v1")
    tagged["containerDefinitions"][0]["image"] = "repo:latest"
    old_release = release("v1", fingerprint="0" * 64)
    assert find_matching_release(build_identity(tagged, {"api": image("v2")}), [old_release]) is None
    assert find_matching_release(build_identity(tagged, {"api": image("v1")}), [old_release]) == old_release
    assert find_matching_release(build_identity(tagged, {"api": "repo:latest@unresolved"}), [old_release]) is None


def test_a_sidecar_digest_missing_from_one_observation_is_no_other_release() -> None:
    task_definition = definition("v1")
    task_definition["containerDefinitions"].append({"name": "sidecar", "image": "proxy:1"})
    recorded_release = release("v1", fingerprint="0" * 64, images={"api": image("v1"), "sidecar": image("v9")})
    assert build_identity(task_definition, {}).is_release(recorded_release)
    assert not build_identity(task_definition, {"sidecar": image("v8")}).is_release(recorded_release)
