"""Releases in the ledger, their definitions, and the standing plan."""

import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rollback.adapters.ledger.table import ConditionFailed, LedgerTable, key, name_of, seconds, text_of
from rollback.canonical_json import sha256_of
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.standing_plan import Bake, StandingPlan
from rollback.domain.stored import StoredT, read_stored
from rollback.errors import Conflict, UnreadableItem

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_TRIES = 5


class LedgerReleases:
    """`SERVICE#<name>` / `RELEASE#<time>#<fingerprint>`, `BAKE` and `STANDING_PLAN`; `DEFINITION#<sha256>`.

    Beside each release stand small items by which it is found in one request, however many there are: `PROMOTED#…`,
    with the release in it, while it is promoted; and `NAME#<kind>#<name>#<fingerprint>` for each of its names.
    """

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def record(self, release: Release, definition: dict[str, Any]) -> None:
        """Store a release and its normalised definition, each once; one that is there already stays as it is."""
        if sha256_of(definition) != release.definition_sha256:
            raise ValueError(f"the definition of {release.version} is not the one that the release names")
        digest = f"DEFINITION#{release.definition_sha256}"
        self._table.put_once(
            {**key(digest, "DEFINITION"), "body": {"S": json.dumps(definition, sort_keys=True, default=str)}}
        )
        if self.release(release.service, release.fingerprint) is not None:
            return
        new = _put_write(self._table, release_item(release, self._table.suspect_release_days))
        new["Put"]["ConditionExpression"] = "attribute_not_exists(pk)"
        with contextlib.suppress(ConditionFailed):
            items = [new, *_lookup_writes(self._table, release)]
            self._table.call(self._table.client.transact_write_items, TransactItems=items)

    def release(self, service: str, fingerprint: str) -> Release | None:
        """Two reads by key: the item of the fingerprint names the release. A ledger without an index is searched."""
        if not self._table.is_indexed():
            return next((known for known in self.releases(service) if known.fingerprint == fingerprint), None)
        pointer = self._table.get(f"SERVICE#{service}", _name_key("fingerprint", fingerprint, fingerprint))
        return self._read_pointed(service, pointer) if pointer is not None else None

    def find(self, service: str, name: str) -> tuple[Release, ...]:
        """Releases that a name may mean, newest first: a version; or how a fingerprint, commit or digest begins."""
        if not self._table.is_indexed():
            return tuple(one for one in self.releases(service) if _has_name(one, name))
        found: dict[str, Release] = {}
        by_prefix = _BY_PREFIX if len(name) >= _LEAST_CHARACTERS else ()
        for kind, wanted in (
            ("version", f"{_escaped(name)}#"),
            *((kind, _normalise_prefix(kind, name)) for kind in by_prefix),
        ):
            for item in self._table.query(f"SERVICE#{service}", f"NAME#{kind}#{wanted}", page_size=_MOST_FOUND):
                fingerprint = item["sk"]["S"].rpartition("#")[2]
                if fingerprint in found or len(found) >= _MOST_FOUND:
                    continue
                release = self._read_pointed(service, item)
                if release is not None:
                    found[fingerprint] = release
        return tuple(sorted(found.values(), key=_age, reverse=True))

    def _read_pointed(self, service: str, pointer: dict[str, Any]) -> Release | None:
        """Read the release that a `NAME#…` item points to, or None if that release can't be read."""
        sort_key = text_of(pointer, "release")
        item = self._table.get(f"SERVICE#{service}", sort_key) if sort_key is not None else None
        return _parse_release_or_none(item) if item is not None else None

    def promoted(self, service: str) -> Iterator[Release]:
        """Promoted releases, newest first, page by page as they are asked for."""
        if not self._table.is_indexed():
            yield from (one for one in self.releases(service) if one.state is ReleaseState.PROMOTED)
            return
        for item in self._table.query(f"SERVICE#{service}", "PROMOTED#", page_size=_PAGE):
            release = _parse_release_or_none(item)
            if release is not None and release.state is ReleaseState.PROMOTED:
                yield release

    def releases(self, service: str, *, since: datetime | None = None) -> Iterator[Release]:
        """Releases that were first deployed since then (None: all), newest first, page by page as they are asked for.

        One that can't be read is passed over: it can be no target.
        """
        first = f"RELEASE#{_time(since)}" if since is not None else None
        for item in self._table.query(f"SERVICE#{service}", "RELEASE#", first=first, page_size=_PAGE):
            release = _parse_release_or_none(item)
            if release is not None:
                yield release

    def definition(self, sha256: str) -> dict[str, Any]:
        """The stored, normalised task definition.

        Raises:
            KeyError: none is stored under this digest.
            UnreadableItem: the stored one is damaged.
        """
        item = self._table.get(f"DEFINITION#{sha256}", "DEFINITION")
        if item is None:
            raise KeyError(sha256)
        try:
            stored: dict[str, Any] = json.loads(item["body"]["S"])
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableItem(name_of(item), f"its body is no JSON ({type(error).__name__})") from error
        if not isinstance(stored, dict) or sha256_of(stored) != sha256:
            raise UnreadableItem(name_of(item), "it is not the definition whose digest its key names")
        return stored

    def set_release_state(self, release: Release, state: ReleaseState, at: datetime, reason: str) -> Release:
        """Move a release to another state, if it still is in the one that was read; the rest stays as it is now.

        Raises:
            Conflict: its state was changed in the meantime.
        """
        judged = {"state": state, "state_since": at, "state_reason": reason}
        return replace_release(self._table, release, lambda now: now.state is release.state, judged)

    def bake(self, service: str) -> Bake | None:
        """The bake that was last written down. One that can't be read is none: the release bakes again."""
        item = self._table.get(f"SERVICE#{service}", "BAKE")
        with contextlib.suppress(UnreadableItem):
            return _parse_body(Bake, item) if item is not None else None
        return None

    def put_bake(self, bake: Bake) -> None:
        """Begin a bake, or begin it again; the last word counts."""
        put = self._table.client.put_item
        item = {**key(f"SERVICE#{bake.service}", "BAKE"), "body": {"S": bake.model_dump_json()}}
        self._table.call(put, TableName=self._table.name, Item=item)

    def standing_plan(self, service: str) -> StandingPlan | None:
        """What to go back to now, if there is anything.

        Raises:
            UnreadableItem: there is a plan, and it can't be read. The next one that is computed replaces it.
        """
        item = self._table.get(f"SERVICE#{service}", "STANDING_PLAN")
        return _parse_body(StandingPlan, item) if item is not None else None

    def put_standing_plan(self, plan: StandingPlan) -> None:
        """Replace the standing plan, unless a newer one was put already; one that can't be read is replaced."""
        condition = "attribute_not_exists(pk) OR computed_at <= :mine OR NOT attribute_type(computed_at, :number)"
        with contextlib.suppress(ConditionFailed):
            self._table.call(
                self._table.client.put_item,
                TableName=self._table.name,
                Item=_plan_item(plan),
                ConditionExpression=condition,
                ExpressionAttributeValues={":mine": {"N": seconds(plan.computed_at)}, ":number": {"S": "N"}},
            )

    def replace_standing_plan(self, read: StandingPlan, amended: StandingPlan) -> None:
        """Replace the standing plan that was read, and no other.

        Raises:
            Conflict: another was put meanwhile.
        """
        item = self._table.get(f"SERVICE#{read.service}", "STANDING_PLAN")
        changed = Conflict(f"the standing plan of {read.service} was put anew meanwhile: read it again")
        if item is None or _parse_body(StandingPlan, item) != read:
            raise changed
        try:
            self._table.call(
                self._table.client.put_item,
                TableName=self._table.name,
                Item=_plan_item(amended),
                ConditionExpression="body = :as_it_was",
                ExpressionAttributeValues={":as_it_was": item["body"]},
            )
        except ConditionFailed as error:
            raise changed from error


def replace_release(
    table: LedgerTable, read: Release, still: Callable[[Release], bool], changes: dict[str, Any]
) -> Release:
    """Change a release as the table has it now, at once: what else was written to it since it was read is kept.

    Args:
        still: whether it is what the change was meant for.

    Raises:
        Conflict: it is not, or no longer is.
    """
    for _ in range(_TRIES):
        item = table.get(*_key_of(read))
        now = _parse_body(Release, item) if item is not None else None
        if item is None or now is None or not still(now):
            break
        changed = Release.model_validate({**dict(now), **changes})
        replaced = _put_write(table, release_item(changed, table.suspect_release_days))
        replaced["Put"]["ConditionExpression"] = "body = :as_it_was"
        replaced["Put"]["ExpressionAttributeValues"] = {":as_it_was": item["body"]}
        with contextlib.suppress(ConditionFailed):
            items = [replaced, _promoted_write(table, changed)]
            table.call(table.client.transact_write_items, TransactItems=items)
            return changed
    raise Conflict(f"release {read.version} was changed meanwhile (it was {read.state}): read it again")


def _plan_item(plan: StandingPlan) -> dict[str, Any]:
    return {
        **key(f"SERVICE#{plan.service}", "STANDING_PLAN"),
        "computed_at": {"N": seconds(plan.computed_at)},
        "body": {"S": plan.model_dump_json()},
    }


def release_item(release: Release, suspect_release_days: float | None = None) -> dict[str, Any]:
    """A release as the table has it. One that a rollback left may expire; what one can go back to never does."""
    item = {
        **key(*_key_of(release)),
        "state": {"S": release.state.value},
        "body": {"S": release.model_dump_json()},
    }
    if suspect_release_days is not None and release.state in (ReleaseState.SUSPECT, ReleaseState.QUARANTINED):
        until = release.state_since + timedelta(days=suspect_release_days)
        item["expires"] = {"N": str(int(until.timestamp()))}
    return item


def index_release(table: LedgerTable, item: dict[str, Any]) -> None:
    """Write what stands beside a release of a ledger from before the index."""
    release = _parse_release_or_none(item)
    if release is None:
        return
    unchanged: TransactWriteItemTypeDef = {
        "ConditionCheck": {
            "TableName": table.name,
            "Key": key(*_key_of(release)),
            "ConditionExpression": "body = :as_it_was",
            "ExpressionAttributeValues": {":as_it_was": item["body"]},
        }
    }
    with contextlib.suppress(ConditionFailed):  # changed meanwhile: that brought it along
        items = [unchanged, *_lookup_writes(table, release)]
        table.call(table.client.transact_write_items, TransactItems=items)


_PAGE = 10  # releases a request: a rollback needs the newest two
_MOST_FOUND = 20  # releases of one name; an operator is shown them all
_BY_PREFIX = ("fingerprint", "commit", "digest")
_LEAST_CHARACTERS = 7  # of such a name; git's short commits have as many


def _lookup_writes(table: LedgerTable, release: Release) -> list["TransactWriteItemTypeDef"]:
    at = {"release": {"S": _key_of(release)[1]}}
    named = [
        _put_write(table, {**key(f"SERVICE#{release.service}", _name_key(kind, name, release.fingerprint)), **at})
        for kind, name in sorted(set(_names(release)))
    ]
    return [*named, _promoted_write(table, release)]


def _name_key(kind: str, name: str, fingerprint: str) -> str:
    return f"NAME#{kind}#{name}#{fingerprint}"


def _names(release: Release) -> Iterator[tuple[str, str]]:
    yield "version", _escaped(release.version)
    yield "fingerprint", release.fingerprint
    if release.commit:
        yield "commit", _escaped(release.commit)
    for image in release.images.values():
        digest = image.rpartition("@sha256:")[2] if "@sha256:" in image else ""
        if digest:
            yield "digest", f"sha256:{digest}"


def _normalise_prefix(kind: str, name: str) -> str:
    """How the stored name begins: digests and fingerprints are stored in small letters, digests with their prefix."""
    small = name if kind == "commit" else name.lower()
    return f"sha256:{small}" if kind == "digest" and not small.startswith("sha256:") else small


def _has_name(release: Release, name: str) -> bool:
    is_prefix = len(name) >= _LEAST_CHARACTERS
    return any(
        found == _escaped(name) if kind == "version" else is_prefix and found.startswith(_normalise_prefix(kind, name))
        for kind, found in _names(release)
    )


def _escaped(name: str) -> str:
    """A name without the character that parts a sort key, and short enough for one (1,024 bytes)."""
    plain = name.replace("%", "%25").replace("#", "%23")
    return plain if len(plain.encode()) <= _LONGEST_NAME else sha256_of({"name": name})


_LONGEST_NAME = 400


def _promoted_write(table: LedgerTable, release: Release) -> "TransactWriteItemTypeDef":
    pk, sk = _key_of(release)
    at = key(pk, sk.replace("RELEASE#", "PROMOTED#", 1))
    if release.state is not ReleaseState.PROMOTED:
        return {"Delete": {"TableName": table.name, "Key": at}}
    return _put_write(table, {**at, "body": {"S": release.model_dump_json()}})


def _put_write(table: LedgerTable, item: dict[str, Any]) -> "TransactWriteItemTypeDef":
    return {"Put": {"TableName": table.name, "Item": item}}


def _parse_body(kind: type[StoredT], item: dict[str, Any]) -> StoredT:
    return read_stored(kind, name_of(item), text_of(item, "body"))


def _parse_release_or_none(item: dict[str, Any]) -> Release | None:
    with contextlib.suppress(UnreadableItem):
        return _parse_body(Release, item)
    return None


def _age(release: Release) -> tuple[datetime, str]:
    return release.first_deployed_at, release.fingerprint


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


def _key_of(release: Release) -> tuple[str, str]:
    return f"SERVICE#{release.service}", f"RELEASE#{_time(release.first_deployed_at)}#{release.fingerprint}"
