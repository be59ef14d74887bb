"""Names of releases as an operator types them; an ambiguous name lists the releases that it may mean.

| Name | Example |
|---|---|
| version | `v1.2.3` |
| version and fingerprint | `v1.2.3@1a2b3c4d` (8 digits or more) |
| fingerprint | `1a2b3c4d` (8 digits or more) |
| digest of an image | `sha256:…`, `repository@sha256:…`, or 12 digits or more of it |
| git commit | `4f5e6d7` (7 digits or more) |
| last known good | `last-known-good`, `last-stable` |
"""

import difflib
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rollback.domain.releases.release import Release, ReleaseState, last_known_good
from rollback.names import SYNONYMS_OF_LAST_KNOWN_GOOD
from rollback.text import QUOTED_LIMIT, TARGET_LIMIT, one_line, quoted

_HEX = re.compile(r"[0-9a-f]+", re.IGNORECASE | re.ASCII)
_DIGEST = "sha256:"
_MIN_FINGERPRINT_DIGITS, _MIN_DIGEST_DIGITS, _MIN_COMMIT_DIGITS = (
    8,
    12,
    7,
)  # fewest digits, so that no other name matches by accident
_MAX_LISTED = 8
TARGET_STATES = frozenset({ReleaseState.PROMOTED})


@dataclass(frozen=True)
class NameMatch:
    """The release that a name means, or the reason why the name means no single release.

    Attributes:
        release: the release; None: the name means none, or several.
        reason: reason why there is no release.
        candidates: releases that the name may mean.
    """

    release: Release | None
    reason: str = ""
    candidates: tuple[Release, ...] = ()


def find_release(
    name: str, releases: Iterable[Release], running: str | None = None, prefer: Collection[ReleaseState] = TARGET_STATES
) -> NameMatch:
    """Find the release that a name means.

    Args:
        name: the name as typed.
        releases: releases of the service.
        running: fingerprint of the running release, which "last known good" depends on; None: it is not known.
        prefer: states that decide among several releases of one version. A rollback prefers the promoted release, and
            a clearance the quarantined one.
    """
    newest_first = _newest_first(releases)
    if name in SYNONYMS_OF_LAST_KNOWN_GOOD:
        return _last_known_good(name, newest_first, running)
    matches = _find_matches(name, newest_first)
    if not matches:
        return NameMatch(None, _unknown(name, newest_first))
    if len(matches) == 1:
        return NameMatch(matches[0])
    preferred = [release for release in matches if release.state in prefer]
    if len(preferred) == 1 and len({release.version for release in matches}) == 1:
        return NameMatch(preferred[0])
    distinct = _without_unresolved_twins(matches)
    if len(distinct) == 1:
        return NameMatch(distinct[0])
    labels = "; ".join(_listed(matches, newest_first))
    short_name = one_line(name, QUOTED_LIMIT)
    return NameMatch(
        None, f"{short_name} is the name of {len(matches)} releases; name one of them: {labels}", tuple(matches)
    )


def _without_unresolved_twins(matches: Sequence[Release]) -> list[Release]:
    """Leave out a release without a digest if another release has the same version and definition with its digest."""
    resolved = {(release.version, release.definition_arn) for release in matches if release.is_resolved}
    return [r for r in matches if r.is_resolved or (r.version, r.definition_arn) not in resolved]


def release_label(release: Release, among: Iterable[Release]) -> str:
    """A name of this release only, ready to paste: its version, with the fingerprint if several have that version."""
    others = [other for other in among if other.fingerprint != release.fingerprint]
    digits = _MIN_FINGERPRINT_DIGITS
    while any(other.fingerprint.startswith(release.fingerprint[:digits]) for other in others):
        digits += 1
    if release.version in SYNONYMS_OF_LAST_KNOWN_GOOD or release.version.startswith("-"):  # an option
        return release.fingerprint[:digits]
    if all(other.version != release.version for other in others):
        return shlex.quote(release.version)
    return shlex.quote(f"{release.version}@{release.fingerprint[:digits]}")


def describe_release(release: Release, among: Iterable[Release]) -> str:
    """The label with state and time, which distinguish the release from others of its version."""
    deployed = f"first deployed {release.first_deployed_at:%Y-%m-%d %H:%M} UTC"
    return f"{release_label(release, among)} ({release.state}, {deployed})"


def find_last_known_good(releases: Iterable[Release], running: str) -> NameMatch:
    """Find the last known good, for a request that names no release."""
    release = last_known_good(releases, running)
    return NameMatch(release, "" if release is not None else _unknown("the last known good", _newest_first(releases)))


def _last_known_good(name: str, releases: Sequence[Release], running: str | None) -> NameMatch:
    if running is None:
        return NameMatch(None, f"{name} depends on the running release, which is not known here: name a version")
    return find_last_known_good(releases, running)


def _newest_first(releases: Iterable[Release]) -> list[Release]:
    return sorted(releases, key=lambda release: release.first_deployed_at, reverse=True)


def _find_matches(name: str, releases: Sequence[Release]) -> list[Release]:
    """Find matches, by version first: the versions of many teams are git SHAs."""
    of_version = [release for release in releases if release.version == name]
    if of_version:
        return of_version
    version, at, mark = name.rpartition("@")
    if at and _is_hex(mark, _MIN_FINGERPRINT_DIGITS):
        return [r for r in releases if r.version == version and r.fingerprint.startswith(mark.lower())]
    return _find_by_identifier(name, releases)


def _find_by_identifier(name: str, releases: Sequence[Release]) -> list[Release]:
    """Find releases by a prefix of a fingerprint, of an image's digest or of a commit."""
    image, prefix, digits = name.rpartition(_DIGEST)
    mark = digits.lower()
    if not _is_hex(mark, 1) or len(name) > TARGET_LIMIT or (image and not image.endswith("@")):
        return []
    return [release for release in releases if _has_identifier(release, mark, is_digest=bool(prefix))]


def _has_identifier(release: Release, mark: str, *, is_digest: bool) -> bool:
    digests = (image.rpartition(_DIGEST)[2] for image in release.images.values() if _DIGEST in image)
    if len(mark) >= _MIN_DIGEST_DIGITS and any(digest.startswith(mark) for digest in digests):
        return True
    if is_digest:
        return False
    if len(mark) >= _MIN_FINGERPRINT_DIGITS and release.fingerprint.startswith(mark):
        return True
    return len(mark) >= _MIN_COMMIT_DIGITS and (release.commit or "").lower().startswith(mark)


def _is_hex(text: str, least: int) -> bool:
    return len(text) >= least and _HEX.fullmatch(text) is not None


def _listed(matches: Sequence[Release], releases: Sequence[Release]) -> Iterator[str]:
    for release in matches[:_MAX_LISTED]:
        yield describe_release(release, releases)
    if len(matches) > _MAX_LISTED:
        yield f"and {len(matches) - _MAX_LISTED} more releases"


def _unknown(name: str, releases: Sequence[Release]) -> str:
    versions = list(dict.fromkeys(release.version for release in releases))
    close = difflib.get_close_matches(name[:TARGET_LIMIT], versions, n=1)
    hint = f" (did you mean {quoted(close[0])}?)" if close else ""
    listed = ", ".join(sorted(versions[: _MAX_LISTED * 2])) or "none"
    more = f" and {len(versions) - _MAX_LISTED * 2} older ones" if len(versions) > _MAX_LISTED * 2 else ""
    return f"{one_line(name, QUOTED_LIMIT)} is not in the ledger{hint}; known versions: {listed}{more}"
