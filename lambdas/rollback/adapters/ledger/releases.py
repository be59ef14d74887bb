"""Releases in the ledger, their definitions, and the standing plan."""

import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rollback.adapters.ledger.table import (
    ConditionFailed,
    LedgerTable,
    expiry,
    key,
    name_of,
    parse_body,
    parse_readable_bodies,
    seconds,
    sortable_time,
    text_of,
)
from rollback.canonical_json import sha256_of
from rollback.domain.release_watch.watch import Baseline
from rollback.domain.releases.log_baseline import LogBaseline
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.standing_plan import Bake, StandingPlan
from rollback.errors import Conflict, LeaseTaken, UnreadableItem

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_TRIES = 5


class LedgerReleases:
    """Adapter of `SERVICE#<name>` / `RELEASE#<time>#<fingerprint>`, `BAKE`, `STANDING_PLAN`; `DEFINITION#<sha256>`.

    Small items beside each release find it in one request, however many releases there are. `PROMOTED#…` holds a copy
    of the release while it is promoted. `NAME#<kind>#<name>#<fingerprint>` names the release's sort key.
    """

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def record(self, release: Release, definition: dict[str, Any]) -> None:
        """Store the definition, then the release with its names in one transaction."""
        if sha256_of(definition) != release.definition_sha256:
            raise ValueError(f"the definition of {release.version} is not the one that the release names")
        digest = f"DEFINITION#{release.definition_sha256}"
        self._table.put_once(
            {**key(digest, "DEFINITION"), "body": {"S": json.dumps(definition, sort_keys=True, default=str)}}
        )
        if self.release(release.service, release.fingerprint) is not None:
            return
        item = release_item(release, self._table.suspect_release_days)
        new = self._table.put_part(item, "attribute_not_exists(pk)")
        with contextlib.suppress(ConditionFailed):
            self._table.transact([new, *_lookup_parts(self._table, release)])

    def release(self, service: str, fingerprint: str) -> Release | None:
        """Read two items by key: the fingerprint's item names the release. A ledger without an index is searched."""
        if not self._table.is_indexed():
            return next(
                (candidate for candidate in self.releases(service) if candidate.fingerprint == fingerprint), None
            )
        pointer = self._table.get(f"SERVICE#{service}", _name_key("fingerprint", fingerprint, fingerprint))
        return self._read_pointed(service, pointer) if pointer is not None else None

    def find(self, service: str, name: str) -> tuple[Release, ...]:
        """Query the `NAME#…` items of each kind of name."""
        if not self._table.is_indexed():
            return tuple(candidate for candidate in self.releases(service) if _has_name(candidate, name))
        releases: dict[str, Release] = {}
        by_prefix = _BY_PREFIX if len(name) >= _MIN_CHARACTERS else ()
        for kind, prefix in (
            ("version", f"{_escaped(name)}#"),
            *((kind, _normalise_prefix(kind, name)) for kind in by_prefix),
        ):
            for item in self._table.query(f"SERVICE#{service}", f"NAME#{kind}#{prefix}", page_size=_MAX_FOUND):
                fingerprint = item["sk"]["S"].rpartition("#")[2]
                if fingerprint in releases or len(releases) >= _MAX_FOUND:
                    continue
                release = self._read_pointed(service, item)
                if release is not None:
                    releases[fingerprint] = release
        return tuple(sorted(releases.values(), key=_age, reverse=True))

    def _read_pointed(self, service: str, pointer: dict[str, Any]) -> Release | None:
        """Read the release that a `NAME#…` item points to, or None if that release can't be read."""
        sort_key = text_of(pointer, "release")
        return self._table.get_readable_body(Release, f"SERVICE#{service}", sort_key) if sort_key is not None else None

    def promoted(self, service: str) -> Iterator[Release]:
        """Query the `PROMOTED#…` items."""
        if not self._table.is_indexed():
            yield from (candidate for candidate in self.releases(service) if candidate.state is ReleaseState.PROMOTED)
            return
        for release in parse_readable_bodies(
            Release, self._table.query(f"SERVICE#{service}", "PROMOTED#", page_size=_PAGE)
        ):
            if release.state is ReleaseState.PROMOTED:
                yield release

    def releases(self, service: str, *, since: datetime | None = None) -> Iterator[Release]:
        """Query by the time in the sort key; a release that can't be read can't be a target."""
        first = f"RELEASE#{sortable_time(since)}" if since is not None else None
        items = self._table.query(f"SERVICE#{service}", "RELEASE#", first=first, page_size=_PAGE)
        return parse_readable_bodies(Release, items)

    def definition(self, sha256: str) -> dict[str, Any]:
        """Check that the definition has the digest of its key."""
        item = self._table.get(f"DEFINITION#{sha256}", "DEFINITION")
        if item is None:
            raise KeyError(sha256)
        try:
            stored: dict[str, Any] = json.loads(item["body"]["S"])
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableItem(name_of(item), f"its body is not JSON ({type(error).__name__})") from error
        if not isinstance(stored, dict) or sha256_of(stored) != sha256:
            raise UnreadableItem(name_of(item), "its definition has another digest than its key")
        return stored

    def set_release_state(self, release: Release, state: ReleaseState, at: datetime, reason: str) -> Release:
        """Compare the state alone."""
        changes = {"state": state, "state_since": at, "state_reason": reason}
        return replace_release(self._table, release, lambda now: now.state is release.state, changes)

    def promote_release(self, release: Release, at: datetime, reason: str, lease_counter: int) -> Release:
        """Compare the state of the release and the counter of the lease, in one transaction."""
        changes = {"state": ReleaseState.PROMOTED, "state_since": at, "state_reason": reason}
        require_counter = _require_lease_counter(self._table, release.service, lease_counter)
        return replace_release(
            self._table, release, lambda now: now.state is release.state, changes, lease_condition=require_counter
        )

    def set_log_baseline(self, release: Release, baseline: LogBaseline) -> Release:
        """Compare the state alone."""
        return replace_release(self._table, release, lambda now: now.state is release.state, {"log_baseline": baseline})

    def bake(self, service: str) -> Bake | None:
        """Take an unreadable bake for none, so that the release bakes again."""
        return self._table.get_readable_body(Bake, f"SERVICE#{service}", "BAKE")

    def put_bake(self, bake: Bake) -> None:
        """Replace the item without a condition."""
        self._table.put({**key(f"SERVICE#{bake.service}", "BAKE"), "body": {"S": bake.model_dump_json()}})

    def watch_baseline(self, service: str) -> Baseline | None:
        """Take an unreadable baseline for none: the defaults are used."""
        return self._table.get_readable_body(Baseline, f"SERVICE#{service}", "WATCH_BASELINE")

    def put_watch_baseline(self, service: str, baseline: Baseline) -> None:
        """Replace the item without a condition."""
        self._table.put({**key(f"SERVICE#{service}", "WATCH_BASELINE"), "body": {"S": baseline.model_dump_json()}})

    def standing_plan(self, service: str) -> StandingPlan | None:
        """Read the service's item."""
        return self._table.get_body(StandingPlan, f"SERVICE#{service}", "STANDING_PLAN")

    def put_standing_plan(self, plan: StandingPlan) -> None:
        """Compare `computed_at`; an unreadable plan is replaced."""
        self._table.put_unless_newer(_plan_item(plan), "computed_at", plan.computed_at)

    def replace_standing_plan(self, known_plan: StandingPlan, amended_plan: StandingPlan) -> None:
        """Compare the whole body."""
        item = self._table.get(f"SERVICE#{known_plan.service}", "STANDING_PLAN")
        changed = Conflict(
            f"the standing plan of {known_plan.service} was replaced since it was read: read the plan again"
        )
        if item is None or parse_body(StandingPlan, item) != known_plan:
            raise changed
        try:
            self._table.call(
                self._table.client.put_item,
                TableName=self._table.name,
                Item=_plan_item(amended_plan),
                ConditionExpression="body = :as_it_was",
                ExpressionAttributeValues={":as_it_was": item["body"]},
            )
        except ConditionFailed as error:
            raise changed from error


def replace_release(
    table: LedgerTable,
    known_release: Release,
    is_expected: Callable[[Release], bool],
    changes: dict[str, Any],
    *,
    lease_condition: "TransactWriteItemTypeDef | None" = None,
) -> Release:
    """Change fields of a release as the table has it now; other fields that were written since it was read stay.

    Args:
        table: the ledger's table.
        known_release: the release as it was read.
        is_expected: whether the release in the table still is the release that the change is meant for.
        changes: field → new value.
        lease_condition: part of the transaction that requires an unchanged lease; None: the lease does not matter.

    Raises:
        LeaseTaken: the condition on the lease does not hold.
        Conflict: the release is another, or keeps changing.
    """
    for _ in range(_TRIES):
        item = table.get(*_key_of(known_release))
        stored_release = parse_body(Release, item) if item is not None else None
        if item is None or stored_release is None or not is_expected(stored_release):
            break
        changed = Release.model_validate({**dict(stored_release), **changes})
        replaced = table.put_part(release_item(changed, table.suspect_release_days), "body = :as_it_was")
        replaced["Put"]["ExpressionAttributeValues"] = {":as_it_was": item["body"]}
        parts = [replaced, _promoted_part(table, changed)]
        try:
            table.transact([*parts, lease_condition] if lease_condition is not None else parts)
        except ConditionFailed:
            if lease_condition is not None and table.get(*_key_of(known_release)) == item:
                raise _lease_taken(known_release) from None
            continue
        return changed
    raise Conflict(
        f"release {known_release.version} was changed since it was {known_release.state}: read the release again"
    )


def _require_lease_counter(table: LedgerTable, service: str, counter: int) -> "TransactWriteItemTypeDef":
    """Return the part of a transaction that requires that no rollback took the lease since its counter was read."""
    check: Any = {
        "TableName": table.name,
        "Key": key(f"SERVICE#{service}", "LEASE"),
        "ConditionExpression": "#counter = :counter" if counter else "attribute_not_exists(#counter)",
        "ExpressionAttributeNames": {"#counter": "counter"},
    }
    if counter:
        check["ExpressionAttributeValues"] = {":counter": {"N": str(counter)}}
    return {"ConditionCheck": check}


def _lease_taken(release: Release) -> LeaseTaken:
    return LeaseTaken(
        f"a rollback took the lease on {release.service} while {release.version} was judged: judge the release again"
    )


def _plan_item(plan: StandingPlan) -> dict[str, Any]:
    return {
        **key(f"SERVICE#{plan.service}", "STANDING_PLAN"),
        "computed_at": {"N": seconds(plan.computed_at)},
        "body": {"S": plan.model_dump_json()},
    }


def release_item(release: Release, suspect_release_days: float | None = None) -> dict[str, Any]:
    """Return the item of a release.

    A suspect or quarantined release expires. A release that can be a target never does.
    """
    item = {
        **key(*_key_of(release)),
        "state": {"S": release.state.value},
        "body": {"S": release.model_dump_json()},
    }
    if suspect_release_days is not None and release.state in (ReleaseState.SUSPECT, ReleaseState.QUARANTINED):
        item["expires"] = expiry(release.state_since + timedelta(days=suspect_release_days))
    return item


def index_release(table: LedgerTable, item: dict[str, Any]) -> None:
    """Write the items beside a release of a ledger that is older than the index."""
    try:
        release = parse_body(Release, item)
    except UnreadableItem:
        return
    unchanged: TransactWriteItemTypeDef = {
        "ConditionCheck": {
            "TableName": table.name,
            "Key": key(*_key_of(release)),
            "ConditionExpression": "body = :as_it_was",
            "ExpressionAttributeValues": {":as_it_was": item["body"]},
        }
    }
    with contextlib.suppress(ConditionFailed):  # the release was changed since, and that change wrote its items
        table.transact([unchanged, *_lookup_parts(table, release)])


_PAGE = 10  # releases of a request: a rollback needs the newest two
_MAX_FOUND = 20  # releases of one name; an operator is shown them all
_BY_PREFIX = ("fingerprint", "commit", "digest")
_MIN_CHARACTERS = 7  # in a prefix; git's short commits have as many


def _lookup_parts(table: LedgerTable, release: Release) -> list["TransactWriteItemTypeDef"]:
    at = {"release": {"S": _key_of(release)[1]}}
    names = [
        table.put_part({**key(f"SERVICE#{release.service}", _name_key(kind, name, release.fingerprint)), **at})
        for kind, name in sorted(set(_names(release)))
    ]
    return [*names, _promoted_part(table, release)]


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
    """Return the beginning of the stored name: digests and fingerprints are in lower case, digests have `sha256:`."""
    lower = name if kind == "commit" else name.lower()
    return f"sha256:{lower}" if kind == "digest" and not lower.startswith("sha256:") else lower


def _has_name(release: Release, name: str) -> bool:
    is_prefix = len(name) >= _MIN_CHARACTERS
    return any(
        stored_name == _escaped(name)
        if kind == "version"
        else is_prefix and stored_name.startswith(_normalise_prefix(kind, name))
        for kind, stored_name in _names(release)
    )


def _escaped(name: str) -> str:
    """Return a name without `#`, which separates the parts of a sort key, and short enough for one (1,024 bytes)."""
    plain = name.replace("%", "%25").replace("#", "%23")
    return plain if len(plain.encode()) <= _MAX_NAME else sha256_of({"name": name})


_MAX_NAME = 400


def _promoted_part(table: LedgerTable, release: Release) -> "TransactWriteItemTypeDef":
    pk, sk = _key_of(release)
    at = key(pk, sk.replace("RELEASE#", "PROMOTED#", 1))
    if release.state is not ReleaseState.PROMOTED:
        return {"Delete": {"TableName": table.name, "Key": at}}
    return table.put_part({**at, "body": {"S": release.model_dump_json()}})


def _age(release: Release) -> tuple[datetime, str]:
    return release.first_deployed_at, release.fingerprint


def _key_of(release: Release) -> tuple[str, str]:
    return f"SERVICE#{release.service}", f"RELEASE#{sortable_time(release.first_deployed_at)}#{release.fingerprint}"
