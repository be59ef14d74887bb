"""Database branches in the ledger: restore points, the last look, and the schemas that releases worked with."""

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rollback.adapters.ledger.releases import replace_release
from rollback.adapters.ledger.table import ConditionFailed, LedgerTable, key, name_of, seconds, text_of
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.releases.release import Release
from rollback.domain.stored import StoredT, read_stored
from rollback.errors import ExternalServiceError, UnreadableItem

_PAGE = 10
_MOST_BYTES = 390_000  # DynamoDB allows 400 KB an item, names and keys included


class LedgerBranches:
    """`BRANCH#<project>#<branch>` / `RESTORE_POINT#<time>` and `OBSERVATION`; `SCHEMA#<sha256>`, compressed."""

    def __init__(self, table: LedgerTable) -> None:
        self._table = table

    def put_schema(self, schema: ReleaseSchema) -> None:
        """Store a schema under its digest, once.

        Raises:
            ExternalServiceError: it is too large for an item, even compressed.
        """
        body = _compressed("the schema", schema.model_dump_json(exclude_defaults=True))
        self._table.put_once({**key(f"SCHEMA#{schema.sha256}", "SCHEMA"), "body": {"B": body}})

    def schema(self, sha256: str) -> ReleaseSchema:
        """A stored schema.

        Raises:
            KeyError: none is stored under this digest, or it can't be read: nothing is known of that schema then.
        """
        item = self._table.get(f"SCHEMA#{sha256}", "SCHEMA")
        if item is None:
            raise KeyError(sha256)
        try:
            schema = _decompressed(ReleaseSchema, item)
        except UnreadableItem as unreadable:
            raise KeyError(sha256) from unreadable
        if schema.sha256 != sha256:
            raise KeyError(sha256)  # it is not the schema whose digest its key names
        return schema

    def set_release_schema(self, release: Release, schema_sha256: str) -> Release:
        """The release with the key of its schema.

        Raises:
            Conflict: it was judged since it was read; read it again.
        """
        return replace_release(self._table, release, lambda now: now == release, {"schema_sha256": schema_sha256})

    def put_restore_point(self, point: RecordedPoint) -> None:
        """Keep a restore point; another of the same moment, service and version is no other: the first stays.

        Raises:
            ExternalServiceError: the migrations with it are too many for an item, even compressed.
        """
        at = _time(point.recorded_at)
        item = key(point.branch, f"RESTORE_POINT#{at}#{point.service}#{point.version}")
        self._table.put_once({**item, "body": {"B": _compressed("the restore point", point.model_dump_json())}})

    def restore_points(self, branch: str, *, since: datetime | None = None) -> Iterator[RecordedPoint]:
        """Those that were recorded since then (None: all), newest first, page by page as they are asked for.

        One that can't be read is passed over: nobody goes back to it.
        """
        first = f"RESTORE_POINT#{_time(since)}" if since is not None else None
        for item in self._table.query(branch, "RESTORE_POINT#", first=first, page_size=_PAGE):
            with contextlib.suppress(UnreadableItem):
                yield _decompressed(RecordedPoint, item)

    def observation(self, branch: str) -> Observation | None:
        """The last look at the branch; None: there was none, or it can't be read."""
        item = self._table.get(branch, "OBSERVATION")
        with contextlib.suppress(UnreadableItem):
            return read_stored(Observation, name_of(item), text_of(item, "body")) if item is not None else None
        return None

    def put_observation(self, observation: Observation) -> None:
        """Replace the last look, unless a newer one was put already."""
        with contextlib.suppress(ConditionFailed):
            self._table.call(
                self._table.client.put_item,
                TableName=self._table.name,
                Item={
                    **key(observation.branch, "OBSERVATION"),
                    "observed_at": {"N": seconds(observation.observed_at)},
                    "body": {"S": observation.model_dump_json()},
                },
                ConditionExpression=(
                    "attribute_not_exists(pk) OR observed_at <= :mine OR NOT attribute_type(observed_at, :number)"
                ),
                ExpressionAttributeValues={
                    ":mine": {"N": seconds(observation.observed_at)},
                    ":number": {"S": "N"},
                },
            )


def _compressed(what: str, text: str) -> bytes:
    body = gzip.compress(text.encode(), mtime=0)
    if len(body) > _MOST_BYTES:
        raise ExternalServiceError(f"{what} takes {len(body)} bytes compressed, at most {_MOST_BYTES} can be kept")
    return body


def _decompressed(kind: type[StoredT], item: dict[str, Any]) -> StoredT:
    try:
        text = gzip.decompress(item["body"]["B"])
    except (KeyError, TypeError, OSError, EOFError, zlib.error) as error:
        raise UnreadableItem(name_of(item), f"its body can't be decompressed ({type(error).__name__})") from error
    return read_stored(kind, name_of(item), text)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"
