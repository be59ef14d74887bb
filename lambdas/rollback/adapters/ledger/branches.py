"""Ledger items of database branches: restore points, the last observation, and the schemas of releases."""

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rollback.adapters.ledger.releases import replace_release
from rollback.adapters.ledger.table import LedgerTable, key, name_of, sortable_time
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.releases.release import Release
from rollback.domain.stored import StoredT, read_stored
from rollback.errors import ExternalServiceError, UnreadableItem
from rollback.resources.database.probe import DatabaseProbe

_PAGE = 10
_MAX_BYTES = 390_000  # DynamoDB allows 400 KB an item, names and keys included


class LedgerBranches:
    """Adapter of `BRANCH#<project>#<branch>` / `RESTORE_POINT#<time>` and `OBSERVATION`, and of `SCHEMA#<sha256>`.

    Schemas and restore points are compressed.
    """

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def put_schema(self, schema: ReleaseSchema) -> None:
        """Store the compressed schema once."""
        body = _compressed("the schema", schema.model_dump_json(exclude_defaults=True))
        self._table.put_once({**key(f"SCHEMA#{schema.sha256}", "SCHEMA"), "body": {"B": body}})

    def schema(self, sha256: str) -> ReleaseSchema:
        """Check that the schema has the digest of its key."""
        item = self._table.get(f"SCHEMA#{sha256}", "SCHEMA")
        if item is None:
            raise KeyError(sha256)
        try:
            schema = _decompressed(ReleaseSchema, item)
        except UnreadableItem as unreadable:
            raise KeyError(sha256) from unreadable
        if schema.sha256 != sha256:
            raise KeyError(sha256)
        return schema

    def set_release_schema(self, release: Release, schema_sha256: str) -> Release:
        """Compare the whole release."""
        return replace_release(self._table, release, lambda now: now == release, {"schema_sha256": schema_sha256})

    def put_restore_point(self, point: RecordedPoint) -> None:
        """Store the compressed point once, under its time, service and version."""
        at = sortable_time(point.recorded_at)
        item = key(point.branch, f"RESTORE_POINT#{at}#{point.service}#{point.version}")
        self._table.put_once({**item, "body": {"B": _compressed("the restore point", point.model_dump_json())}})

    def restore_points(self, branch: str, *, since: datetime | None = None) -> Iterator[RecordedPoint]:
        """Query by the time in the sort key; a point that can't be read is never restored."""
        first = f"RESTORE_POINT#{sortable_time(since)}" if since is not None else None
        for item in self._table.query(branch, "RESTORE_POINT#", first=first, page_size=_PAGE):
            with contextlib.suppress(UnreadableItem):
                yield _decompressed(RecordedPoint, item)

    def observation(self, branch: str) -> Observation | None:
        """Read the branch's item."""
        return self._table.get_readable_body(Observation, branch, "OBSERVATION")

    def put_observation(self, observation: Observation) -> None:
        """Compare `observed_at`."""
        item = {**key(observation.branch, "OBSERVATION"), "body": {"S": observation.model_dump_json()}}
        self._table.put_unless_newer(item, "observed_at", observation.observed_at)

    def database_probe(self, branch: str) -> DatabaseProbe | None:
        """Read the branch's item."""
        return self._table.get_readable_body(DatabaseProbe, branch, "PROBE")

    def put_database_probe(self, probe: DatabaseProbe) -> None:
        """Compare `at`."""
        item = {**key(probe.branch, "PROBE"), "body": {"S": probe.model_dump_json()}}
        self._table.put_unless_newer(item, "probed_at", probe.at)


def _compressed(what: str, text: str) -> bytes:
    body = gzip.compress(text.encode(), mtime=0)
    if len(body) > _MAX_BYTES:
        raise ExternalServiceError(f"{what} takes {len(body)} bytes compressed; an item holds {_MAX_BYTES}")
    return body


def _decompressed(kind: type[StoredT], item: dict[str, Any]) -> StoredT:
    try:
        text = gzip.decompress(item["body"]["B"])
    except (KeyError, TypeError, OSError, EOFError, zlib.error) as error:
        raise UnreadableItem(name_of(item), f"its body can't be decompressed ({type(error).__name__})") from error
    return read_stored(kind, name_of(item), text)
