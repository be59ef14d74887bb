"""Releases in the ledger, their definitions, and the standing plan."""

import contextlib
import json
from datetime import datetime
from typing import Any

from rollback.model.errors import Conflict
from rollback.model.release import Release, ReleaseState, sha256_of
from rollback.model.standing_plan import Bake, StandingPlan
from rollback.world.ledger_table import ConditionFailed, LedgerTable, key, seconds


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
        """Move a release to another state, if it still is in the one that was read.

        Raises:
            Conflict: its state was changed in the meantime.
        """
        judged = Release.model_validate(
            {**dict(release), "state": state, "state_since": at, "state_reason": reason},
        )
        try:
            self._table.call(
                self._table.client.put_item,
                TableName=self._table.name,
                Item=release_item(judged),
                ConditionExpression="#state = :read",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues={":read": {"S": release.state.value}},
            )
        except ConditionFailed as error:
            raise Conflict(f"release {release.version} is no longer {release.state}: read it again") from error
        return judged

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
                Item={
                    **key(f"SERVICE#{plan.service}", "STANDING_PLAN"),
                    "computed_at": {"N": seconds(plan.computed_at)},
                    "body": {"S": plan.model_dump_json()},
                },
                ConditionExpression="attribute_not_exists(pk) OR computed_at <= :mine",
                ExpressionAttributeValues={":mine": {"N": seconds(plan.computed_at)}},
            )


def release_item(release: Release) -> dict[str, Any]:
    """A release as the table has it."""
    sk = f"RELEASE#{release.first_deployed_at:%Y-%m-%dT%H:%M:%S.%fZ}#{release.fingerprint}"
    return {
        **key(f"SERVICE#{release.service}", sk),
        "state": {"S": release.state.value},
        "body": {"S": release.model_dump_json()},
    }
