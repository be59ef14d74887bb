"""Names of releases: a name means one release, or the answer lists those that it may mean."""

from typing import Any

import pytest
from simulations.service import CANDIDATE, QUARANTINED, SUSPECT
from support.builders import image, release

from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.releases.release_names import find_last_known_good, find_release, release_label

COMMIT = "4f5e6d7c8b9a0f1e2d3c4b5a69788796a5b4c3d2"


def release_with_fingerprint(version: str, mark: str, **changes: Any) -> Release:
    """Build a release whose fingerprint begins with this mark."""
    return release(version, fingerprint=mark.ljust(64, "0"), **changes)


V1 = release_with_fingerprint("v1", "1a2b3c4d", hours_ago=48, commit=COMMIT)
V2 = release_with_fingerprint("v2", "ffff0000", hours_ago=1, state=CANDIDATE)
DIGEST = image("v1").rpartition("sha256:")[2]

NAMES = {
    "version": "v1",
    "version and fingerprint": "v1@1a2b3c4d",
    "version and whole fingerprint": f"v1@{V1.fingerprint}",
    "version and fingerprint in capitals": "v1@1A2B3C4D",
    "fingerprint": "1a2b3c4d",
    "whole fingerprint": V1.fingerprint,
    "digest": f"sha256:{DIGEST}",
    "beginning of a digest": f"sha256:{DIGEST[:12]}",
    "beginning of a digest, without its kind": DIGEST[:12],
    "image": image("v1"),
    "commit": COMMIT,
    "beginning of a commit": COMMIT[:7],
    "last known good": "last-known-good",
    "last stable": "last-stable",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_each_kind_of_name_means_the_release(name: str) -> None:
    assert find_release(name, (V2, V1), running=V2.fingerprint).release == V1


@pytest.mark.parametrize(
    "name",
    [
        "v3",
        "v1@1a2b3c4",
        "v2@1a2b3c4d",
        "1a2b3c4",
        f"sha256:{DIGEST[:11]}",
        "sha256:1a2b3c4d0000",
        COMMIT[:6],
        "",
        "@",
        "sha256:",
        f"xsha256:{DIGEST}",
        f"{'x' * 100_000}@sha256:{DIGEST}",
    ],
)
def test_a_name_that_is_too_short_or_unknown_is_explained(name: str) -> None:
    match = find_release(name, (V2, V1))
    assert match.release is None
    assert "is not in the ledger" in match.reason
    assert "known versions: v1, v2" in match.reason


def test_the_answer_offers_the_closest_version_and_counts_older_versions() -> None:
    releases = tuple(release(f"v{number}", hours_ago=number) for number in range(1, 41))
    assert "did you mean 'v12'" in find_release("v12x", releases).reason
    assert "and 24 older ones" in find_release("v12x", releases).reason
    assert len(find_release("x" * 5_000, releases).reason) < 500


def test_a_version_of_several_releases_means_the_only_promoted_release() -> None:
    bad = release_with_fingerprint("v1", "ffff0000", state=QUARANTINED)
    assert find_release("v1", (bad, V1)).release == V1


def test_several_promoted_releases_of_a_version_are_listed_ready_to_paste() -> None:
    twin = release_with_fingerprint("v1", "ffff0000", hours_ago=2)
    match = find_release("v1", (V1, twin))
    assert match.release is None
    assert match.candidates == (twin, V1)
    assert "v1@ffff0000 (promoted, first deployed 2026-03-01 01:00 UTC)" in match.reason
    assert "v1@1a2b3c4d (promoted, first deployed 2026-02-27 03:00 UTC)" in match.reason
    for candidate in (V1, twin):
        assert find_release(release_label(candidate, (V1, twin)), (V1, twin)).release == candidate


def test_several_releases_of_a_version_are_listed_if_none_is_promoted() -> None:
    twins = (
        release_with_fingerprint("v1", "ffff0000", state=CANDIDATE),
        release_with_fingerprint("v1", "eeee0000", state=SUSPECT),
    )
    assert find_release("v1", twins).candidates == twins


@pytest.mark.parametrize(("releases", "more"), [(8, None), (9, 1), (10, 2)])
def test_an_ambiguous_name_lists_eight_releases_newest_first_and_counts_the_others(
    releases: int, more: int | None
) -> None:
    twins = tuple(release_with_fingerprint("v1", f"{number}0000000", hours_ago=number) for number in range(releases))
    match = find_release("v1", reversed(twins))
    begin, _, listed = match.reason.partition("; name one of them: ")
    assert begin == f"v1 is the name of {releases} releases"
    assert [entry.split(" ")[0] for entry in listed.split("; ")[:8]] == [f"v1@{n}0000000" for n in range(8)]
    assert listed.split("; ")[8:] == ([f"and {more} more releases"] if more else [])
    assert match.candidates == twins


def test_a_release_without_a_digest_gives_way_to_the_same_definition_with_its_digest() -> None:
    unresolved = {"app": "repository@unresolved"}
    twin = release_with_fingerprint(
        "v1", "eeee0000", state=CANDIDATE, images=unresolved, definition_arn=V1.definition_arn
    )
    resolved = V1.model_copy(update={"state": CANDIDATE})
    assert find_release("v1", (twin, resolved)).release == resolved
    other_release = twin.model_copy(update={"definition_arn": "arn:other"})
    assert find_release("v1", (other_release, resolved)).candidates == (other_release, resolved)


def test_a_state_that_the_caller_prefers_decides_among_the_releases_of_a_version() -> None:
    quarantined, suspect = (
        release_with_fingerprint("v1", "eeee0000", state=QUARANTINED),
        release_with_fingerprint("v1", "dddd0000", state=SUSPECT),
    )
    prefer = {ReleaseState.QUARANTINED}
    assert find_release("v1", (V1, quarantined, suspect), prefer=prefer).release == quarantined
    assert find_release("v1", (quarantined, suspect)).release is None


def test_an_unknown_name_lists_sixteen_versions_and_none_of_an_empty_ledger() -> None:
    releases = tuple(release(f"v{number:02}", hours_ago=number) for number in range(16))
    versions = ", ".join(f"v{number:02}" for number in range(16))
    assert find_release("zzz", releases).reason == f"zzz is not in the ledger; known versions: {versions}"
    assert find_release("zzz", ()).reason == "zzz is not in the ledger; known versions: none"
    assert find_last_known_good((), "").reason == "the last known good is not in the ledger; known versions: none"


def test_a_prefix_of_several_versions_lists_all_of_them_even_if_one_is_promoted() -> None:
    """A prefix that fits several versions is a typing error, not a version that was deployed twice."""
    other_release = release_with_fingerprint("v2", "1a2b3c4dff", state=CANDIDATE)
    assert find_release("1a2b3c4d", (V1, other_release)).candidates == (other_release, V1)


def test_a_longer_prefix_distinguishes_two_similar_fingerprints() -> None:
    twin = release_with_fingerprint("v1", "1a2b3c4d11")
    assert release_label(V1, (V1, twin)) == "v1@1a2b3c4d0"
    assert find_release("v1@1a2b3c4d0", (V1, twin)).release == V1


def test_a_version_takes_precedence_over_other_kinds_of_name() -> None:
    by_sha = release_with_fingerprint(COMMIT[:7], "ffff0000")
    assert find_release(COMMIT[:7], (V1, by_sha)).release == by_sha


@pytest.mark.parametrize("version", ["$(reboot)", "a b", "it's", "--force", "last-known-good"])
def test_a_name_to_paste_is_safe_for_a_shell(version: str) -> None:
    import shlex  # noqa: PLC0415 - the shell's reading, not ours

    odd = release_with_fingerprint(version, "ffff0000")
    (word,) = shlex.split(release_label(odd, (V1, odd)))
    assert not word.startswith("-")
    assert find_release(word, (V1, odd)).release == odd


def test_the_last_known_good_depends_on_the_running_release() -> None:
    assert find_release("last-known-good", (V1,), running=V1.fingerprint).release is None
    assert "which is not known here" in find_release("last-stable", (V1,)).reason


@pytest.mark.parametrize("name", ["last-known-good", "last-stable"])
def test_the_answer_quotes_a_name_that_means_nothing_without_a_running_release(name: str) -> None:
    assert find_release(name, (V1,)).reason.startswith(f"{name} depends on the running release")


def test_a_known_last_known_good_has_no_objection() -> None:
    match = find_release("last-known-good", (V2, V1), running=V2.fingerprint)
    assert (match.release, match.reason, match.candidates) == (V1, "", ())


def test_a_version_may_contain_the_at_sign_that_precedes_a_fingerprint() -> None:
    scoped, twin = (
        release_with_fingerprint("@app/api@v1", "1a2b3c4d"),
        release_with_fingerprint("@app/api@v1", "ffff0000"),
    )
    assert find_release("@app/api@v1@1a2b3c4d", (scoped, twin)).release == scoped


@pytest.mark.parametrize(("length", "is_found"), [(400, True), (401, False)])
def test_an_image_s_name_may_be_as_long_as_the_limit_of_a_target(length: int, is_found: bool) -> None:
    name = f"@sha256:{DIGEST}".rjust(length, "x")
    assert (find_release(name, (V1,)).release == V1) is is_found


def test_seventeen_versions_are_listed_as_sixteen_and_one_older_version() -> None:
    releases = tuple(release(f"v{number:02}", hours_ago=number) for number in range(17))
    versions = ", ".join(f"v{number:02}" for number in range(16))
    expected = f"zzz is not in the ledger; known versions: {versions} and 1 older ones"
    assert find_release("zzz", releases).reason == expected


def test_an_ambiguous_name_of_any_length_is_quoted_shortly() -> None:
    long_version = "v" * 128
    match = find_release(
        long_version,
        (release_with_fingerprint(long_version, "ffff0000"), release_with_fingerprint(long_version, "eeee0000")),
    )
    assert len(match.candidates) == 2
    quoted, _, _ = match.reason.partition(" is the name of 2 releases")
    assert len(quoted) <= 80
