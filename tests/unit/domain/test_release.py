from hypothesis import given
from hypothesis import strategies as st
from support.builders import definition, image, release

from rollback.domain.releases.release import Release, ReleaseState, fingerprint, last_known_good
from rollback.resources.aws.task_definition import UNRESOLVED


def test_registering_the_same_definition_again_keeps_its_fingerprint() -> None:
    second_revision = definition(
        "v1", revision=9, family="other", taskDefinitionArn="arn:x", status="INACTIVE", volumes=[]
    )
    assert fingerprint(second_revision, {}) == fingerprint(definition("v1"), {})


def test_another_image_or_another_setting_makes_another_release() -> None:
    first = fingerprint(definition("v1"), {})
    assert fingerprint(definition("v2"), {}) != first
    assert fingerprint(definition("v1", cpu="512"), {}) != first


def test_a_tag_is_replaced_by_the_digest_that_ecs_resolved() -> None:
    tagged_definition = definition("v1")
    tagged_definition["containerDefinitions"][0]["image"] = "repo:v1"
    assert fingerprint(tagged_definition, {"api": image("v1")}) == fingerprint(definition("v1"), {})


def test_a_target_needs_the_digest_of_its_own_image_and_not_those_of_its_sidecars() -> None:
    tag = "repo:v1"
    unresolved = release("v1", images={"api": f"{tag}{UNRESOLVED}", "sidecar": image("v2")})
    by_reference = release("v1", images={"api": image("v1"), "sidecar": tag})
    assert (unresolved.is_resolved, unresolved.unresolved) == (False, ("api",))
    assert (by_reference.is_resolved, by_reference.pinned_by_reference) == (True, ("sidecar",))
    assert last_known_good((unresolved,), None) is None
    assert last_known_good((by_reference,), None) == by_reference


def test_the_last_known_good_is_the_newest_promoted_release_that_does_not_run() -> None:
    v1 = release("v1", hours_ago=30)
    v2 = release("v2", hours_ago=20, state=ReleaseState.QUARANTINED)
    v3 = release("v3", hours_ago=1, state=ReleaseState.CANDIDATE)
    assert last_known_good((v1, v2, v3), v3.fingerprint) == v1
    assert last_known_good((v2, v3), v3.fingerprint) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(["v1", "v2", "v3", "v4"]), st.sampled_from(list(ReleaseState)), st.integers(0, 99))
    )
)
def test_the_last_known_good_is_never_a_bad_release_and_never_the_running_release(
    history: list[tuple[str, ReleaseState, int]],
) -> None:
    releases: list[Release] = [release(v, state=s, hours_ago=h) for v, s, h in history]
    running = release("v1").fingerprint
    good = last_known_good(releases, running)
    others = [r for r in releases if r.state is ReleaseState.PROMOTED and r.fingerprint != running]
    assert (good is None) == (not others)
    if good is not None:
        assert good in others
        assert all(good.first_deployed_at >= other.first_deployed_at for other in others)
