"""Releases in the ledger, their definitions, and the standing plan."""

import contextlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from rollback.model.errors import Conflict
from rollback.model.release import Release, ReleaseState, sha256_of
from rollback.model.standing_plan import Bake, StandingPlan
from rollback.world.ledger_table import ConditionFailed, LedgerTable, key, seconds

_TRIES = 5


class LedgerReleases:
    """`SERVICE#<name>` / `RELEASE#<time>#<fingerprint>`, `BAKE` and `STANDING_PLAN`; `DEFINITION#<sha256>`."""

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
        if any(known.fingerprint == release.fingerprint for known in self.releases(release.service)):
            return
        self._table.put_once(release_item(release))

    def definition(self, sha256: str) -> dict[str, Any]:
        """The stored, normalised task definition.

        Raises:
            KeyError: none is stored under this digest.
        """
        item = self._table.get(f"DEFINITION#{sha256}", "DEFINITION")
        if item is None:
            raise KeyError(sha256)
        stored: dict[str, Any] = json.loads(item["body"]["S"])
        return stored

    def releases(self, service: str) -> tuple[Release, ...]:
        """All releases of a service, newest first."""
        items = self._table.query(f"SERVICE#{service}", "RELEASE#")
        return tuple(Release.model_validate_json(item["body"]["S"]) for item in items)

    def judge(self, release: Release, state: ReleaseState, at: datetime, reason: str) -> Release:
        """Move a release to another state, if it still is in the one that was read; the rest stays as it is now.

        Raises:
            Conflict: its state was changed in the meantime.
        """
        judged = {"state": state, "state_since": at, "state_reason": reason}
        return replace_release(self._table, release, lambda now: now.state is release.state, judged)

    def bake(self, service: str) -> Bake | None:
        """The bake that was last written down."""
        item = self._table.get(f"SERVICE#{service}", "BAKE")
        return Bake.model_validate_json(item["body"]["S"]) if item is not None else None

    def put_bake(self, bake: Bake) -> None:
        """Begin a bake, or begin it again; the last word counts."""
        put = self._table.client.put_item
        item = {**key(f"SERVICE#{bake.service}", "BAKE"), "body": {"S": bake.model_dump_json()}}
        self._table.call(put, TableName=self._table.name, Item=item)

    def standing_plan(self, service: str) -> StandingPlan | None:
        """What to go back to now, if there is anything."""
        item = self._table.get(f"SERVICE#{service}", "STANDING_PLAN")
        return StandingPlan.model_validate_json(item["body"]["S"]) if item is not None else None

    def put_standing_plan(self, plan: StandingPlan) -> None:
        """Replace the standing plan, unless a newer one was put already."""
        with contextlib.suppress(ConditionFailed):
            self._table.call(
                self._table.client.put_item,
                TableName=self._table.name,
                Item=_plan_item(plan),
                ConditionExpression="attribute_not_exists(pk) OR computed_at <= :mine",
                ExpressionAttributeValues={":mine": {"N": seconds(plan.computed_at)}},
            )

    def amend_standing_plan(self, read: StandingPlan, amended: StandingPlan) -> None:
        """Replace the standing plan that was read, and no other.

        Raises:
            Conflict: another was put meanwhile.
        """
        item = self._table.get(f"SERVICE#{read.service}", "STANDING_PLAN")
        changed = Conflict(f"the standing plan of {read.service} was put anew meanwhile: read it again")
        if item is None or StandingPlan.model_validate_json(item["body"]["S"]) != read:
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
        now = Release.model_validate_json(item["body"]["S"]) if item is not None else None
        if item is None or now is None or not still(now):
            break
        changed = Release.model_validate({**dict(now), **changes})
        with contextlib.suppress(ConditionFailed):
            table.call(
                table.client.put_item,
                TableName=table.name,
                Item=release_item(changed),
                ConditionExpression="body = :as_it_was",
                ExpressionAttributeValues={":as_it_was": item["body"]},
            )
            return changed
    raise Conflict(f"release {read.version} was changed meanwhile (it was {read.state}): read it again")


def _plan_item(plan: StandingPlan) -> dict[str, Any]:
    return {
        **key(f"SERVICE#{plan.service}", "STANDING_PLAN"),
        "computed_at": {"N": seconds(plan.computed_at)},
        "body": {"S": plan.model_dump_json()},
    }


def release_item(release: Release) -> dict[str, Any]:
    """A release as the table has it."""
    return {
        **key(*_key_of(release)),
        "state": {"S": release.state.value},
        "body": {"S": release.model_dump_json()},
    }


def _key_of(release: Release) -> tuple[str, str]:
    sk = f"RELEASE#{release.first_deployed_at:%Y-%m-%dT%H:%M:%S.%fZ}#{release.fingerprint}"
    return f"SERVICE#{release.service}", sk
