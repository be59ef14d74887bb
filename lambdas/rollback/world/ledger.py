"""The ledger: releases, leases and rollback documents in one DynamoDB table; every write is conditional.

Keys are DESIGN's: `SERVICE#<name>` with `RELEASE#…`, `LEASE`, `ROLLBACK#<id>`; `DEFINITION#<sha256>`; `EVENT#<id>`.
A document is stored as JSON in `body`, beside the attributes that conditions need.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from rollback.model.errors import Conflict, LeaseLost
from rollback.model.lease import Lease
from rollback.model.release import Release, ReleaseState, sha256_of
from rollback.model.rollback import Rollback
from rollback.model.standing_plan import StandingPlan
from rollback.world.failures import calling

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_EVENT_KEPT = timedelta(days=2)  # longer than EventBridge retries (24 hours)


class DynamoLedger:
    """Adapter of one environment's table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    # Rollback documents

    def create(self, rollback: Rollback) -> Rollback:
        """Store a new document and mark its event as seen, in one transaction.

        A retry finds its own document and gives that.

        Raises:
            Conflict: another rollback has taken the same event already.
        """
        items: list[TransactWriteItemTypeDef] = [
            {
                "Put": {
                    "TableName": self._table,
                    "Item": _document(rollback),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            }
        ]
        if rollback.event is not None:
            expires = int((rollback.created_at + _EVENT_KEPT).timestamp())
            items.append(
                {
                    "Put": {
                        "TableName": self._table,
                        "Item": {
                            **_key(f"EVENT#{rollback.event.id}", "SEEN"),
                            "rollback_id": {"S": rollback.id},
                            "expires": {"N": str(expires)},
                        },
                        "ConditionExpression": "attribute_not_exists(pk)",
                    }
                }
            )
        try:
            self._call(self._client.transact_write_items, TransactItems=items)
        except _ConditionFailed as error:
            try:
                return self.read(rollback.service_name, rollback.id)
            except KeyError:
                event = rollback.event.id if rollback.event else ""
                raise Conflict(f"event {event} was taken by another rollback already") from error
        return rollback

    def read(self, service: str, rollback_id: str) -> Rollback:
        """The document as it stands (consistent read).

        Raises:
            KeyError: there is none with this id.
        """
        item = self._get(f"SERVICE#{service}", f"ROLLBACK#{rollback_id}")
        if item is None:
            raise KeyError(rollback_id)
        return Rollback.model_validate_json(item["body"]["S"])

    def save(self, rollback: Rollback, *, under_lease_until: datetime | None = None) -> Rollback:
        """Compare-and-set on the version that was read.

        Args:
            under_lease_until: also require that our lease holds at least until then (rule 9: an intent may only be
                written by a holder whose lease outlasts the call it announces).

        Raises:
            Conflict: the document was changed since it was read.
            LeaseLost: the lease is another's, or ends too early.
        """
        saved = rollback.but(version=rollback.version + 1)
        items: list[TransactWriteItemTypeDef] = [
            {
                "Put": {
                    "TableName": self._table,
                    "Item": _document(saved),
                    "ConditionExpression": "#version = :read",
                    "ExpressionAttributeNames": {"#version": "version"},
                    "ExpressionAttributeValues": {":read": {"N": str(rollback.version)}},
                }
            }
        ]
        if under_lease_until is not None:
            items.append(
                {
                    "ConditionCheck": {
                        "TableName": self._table,
                        "Key": _key(f"SERVICE#{rollback.service_name}", "LEASE"),
                        "ConditionExpression": "holder = :me AND #counter = :counter AND expires_at > :until",
                        "ExpressionAttributeNames": {"#counter": "counter"},
                        "ExpressionAttributeValues": {
                            ":me": {"S": rollback.id},
                            ":counter": {"N": str(rollback.lease_counter)},
                            ":until": {"N": _seconds(under_lease_until)},
                        },
                    }
                }
            )
        try:
            self._call(self._client.transact_write_items, TransactItems=items)
        except _ConditionFailed as error:
            if error.failed[1:] == [True]:
                raise LeaseLost(f"{rollback.id} no longer holds the lease on {rollback.service_name}") from error
            raise Conflict(f"{rollback.id} is no longer at version {rollback.version}: read it again") from error
        return saved

    def history(self, service: str) -> Iterator[Rollback]:
        """All rollbacks of a service, newest first."""
        for item in self._query(f"SERVICE#{service}", "ROLLBACK#", newest_first=True):
            yield Rollback.model_validate_json(item["body"]["S"])

    # Leases

    def acquire(self, service: str, rollback_id: str, now: datetime, until: datetime) -> Lease | None:
        """Take the lease if it is free, expired or ours already; None if another holds it."""
        try:
            updated = self._call(
                self._client.update_item,
                TableName=self._table,
                Key=_key(f"SERVICE#{service}", "LEASE"),
                UpdateExpression="SET holder = :me, expires_at = :until ADD #counter :one",
                ConditionExpression="attribute_not_exists(pk) OR attribute_not_exists(holder) OR expires_at <= :now",
                ExpressionAttributeNames={"#counter": "counter"},
                ExpressionAttributeValues={
                    ":me": {"S": rollback_id},
                    ":until": {"N": _seconds(until)},
                    ":now": {"N": _seconds(now)},
                    ":one": {"N": "1"},
                },
                ReturnValues="ALL_NEW",
            )
        except _ConditionFailed:
            held = self.lease(service)
            return held if held is not None and held.is_held_by(rollback_id, now) else None
        return _lease(service, updated["Attributes"])

    def renew(self, lease: Lease, now: datetime, until: datetime) -> Lease:
        """Hold our lease for longer.

        Raises:
            LeaseLost: it ran out or is another's.
        """
        try:
            updated = self._call(
                self._client.update_item,
                TableName=self._table,
                Key=_key(f"SERVICE#{lease.service}", "LEASE"),
                UpdateExpression="SET expires_at = :until",
                ConditionExpression="holder = :me AND #counter = :counter AND expires_at > :now",
                ExpressionAttributeNames={"#counter": "counter"},
                ExpressionAttributeValues={
                    ":me": {"S": lease.holder},
                    ":counter": {"N": str(lease.counter)},
                    ":until": {"N": _seconds(until)},
                    ":now": {"N": _seconds(now)},
                },
                ReturnValues="ALL_NEW",
            )
        except _ConditionFailed as error:
            raise LeaseLost(f"{lease.holder} no longer holds the lease on {lease.service}") from error
        return _lease(lease.service, updated["Attributes"])

    def release_lease(self, service: str, rollback_id: str) -> None:
        """Give the lease back; nothing happens if it is not ours (any more). The counter stays."""
        with contextlib.suppress(_ConditionFailed):
            self._call(
                self._client.update_item,
                TableName=self._table,
                Key=_key(f"SERVICE#{service}", "LEASE"),
                UpdateExpression="REMOVE holder, expires_at",
                ConditionExpression="holder = :me",
                ExpressionAttributeValues={":me": {"S": rollback_id}},
            )

    def lease(self, service: str) -> Lease | None:
        """Who holds the lease (it may have run out); None if nobody."""
        item = self._get(f"SERVICE#{service}", "LEASE")
        return _lease(service, item) if item is not None and "holder" in item else None

    # Releases

    def record(self, release: Release, definition: dict[str, Any]) -> None:
        """Store a release and its normalised definition, each once; one that is there already stays as it is."""
        if sha256_of(definition) != release.definition_sha256:
            raise ValueError(f"the definition of {release.version} is not the one that the release names")
        digest = f"DEFINITION#{release.definition_sha256}"
        self._put_once(
            {**_key(digest, "DEFINITION"), "body": {"S": json.dumps(definition, sort_keys=True, default=str)}}
        )
        if any(known.fingerprint == release.fingerprint for known in self.releases(release.service)):
            return
        self._put_once(_release(release))

    def definition(self, sha256: str) -> dict[str, Any]:
        """The stored, normalised task definition.

        Raises:
            KeyError: none is stored under this digest.
        """
        item = self._get(f"DEFINITION#{sha256}", "DEFINITION")
        if item is None:
            raise KeyError(sha256)
        stored: dict[str, Any] = json.loads(item["body"]["S"])
        return stored

    def releases(self, service: str) -> tuple[Release, ...]:
        """All releases of a service, newest first."""
        items = self._query(f"SERVICE#{service}", "RELEASE#", newest_first=True)
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
            self._call(
                self._client.put_item,
                TableName=self._table,
                Item=_release(judged),
                ConditionExpression="#state = :read",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues={":read": {"S": release.state.value}},
            )
        except _ConditionFailed as error:
            raise Conflict(f"release {release.version} is no longer {release.state}: read it again") from error
        return judged

    def standing_plan(self, service: str) -> StandingPlan | None:
        """What to go back to now, if there is anything."""
        item = self._get(f"SERVICE#{service}", "STANDING_PLAN")
        return StandingPlan.model_validate_json(item["body"]["S"]) if item is not None else None

    def put_standing_plan(self, plan: StandingPlan) -> None:
        """Replace the standing plan, unless a newer one was put already."""
        with contextlib.suppress(_ConditionFailed):
            self._call(
                self._client.put_item,
                TableName=self._table,
                Item={
                    **_key(f"SERVICE#{plan.service}", "STANDING_PLAN"),
                    "computed_at": {"N": _seconds(plan.computed_at)},
                    "body": {"S": plan.model_dump_json()},
                },
                ConditionExpression="attribute_not_exists(pk) OR computed_at <= :mine",
                ExpressionAttributeValues={":mine": {"N": _seconds(plan.computed_at)}},
            )

    def _get(self, pk: str, sk: str) -> dict[str, Any] | None:
        answer = self._call(self._client.get_item, TableName=self._table, Key=_key(pk, sk), ConsistentRead=True)
        item: dict[str, Any] | None = answer.get("Item")
        return item

    def _call(self, operation: Callable[..., Any], **given: Any) -> Any:
        """Send one request; a condition that does not hold is the caller's to explain, all else is the outside's."""
        with calling(operation.__name__, self._table):
            try:
                return operation(**given)
            except ClientError as error:
                if _is_conditional(error):
                    raise _ConditionFailed(error) from error
                raise

    def _put_once(self, item: dict[str, Any]) -> None:
        with contextlib.suppress(_ConditionFailed):
            self._call(
                self._client.put_item, TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(pk)"
            )

    def _query(self, pk: str, prefix: str, *, newest_first: bool) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":pk": {"S": pk}, ":prefix": {"S": prefix}},
            ScanIndexForward=not newest_first,
            ConsistentRead=True,
        )
        with calling("query", self._table):
            for page in pages:
                yield from page["Items"]


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _seconds(at: datetime) -> str:
    return f"{at.timestamp():.3f}"


def _document(rollback: Rollback) -> dict[str, Any]:
    return {
        **_key(f"SERVICE#{rollback.service_name}", f"ROLLBACK#{rollback.id}"),
        "version": {"N": str(rollback.version)},
        "body": {"S": rollback.model_dump_json()},
    }


def _release(release: Release) -> dict[str, Any]:
    sk = f"RELEASE#{release.first_deployed_at:%Y-%m-%dT%H:%M:%S.%fZ}#{release.fingerprint}"
    return {
        **_key(f"SERVICE#{release.service}", sk),
        "state": {"S": release.state.value},
        "body": {"S": release.model_dump_json()},
    }


def _lease(service: str, item: dict[str, Any]) -> Lease:
    return Lease.model_validate(
        {
            "service": service,
            "holder": item["holder"]["S"],
            "counter": int(item["counter"]["N"]),
            "expires_at": float(item["expires_at"]["N"]),
        }
    )


class _ConditionFailed(Exception):
    """A conditional write was refused; `failed` says which parts of a transaction did not hold."""

    def __init__(self, error: ClientError) -> None:
        super().__init__(str(error))
        reasons = error.response.get("CancellationReasons", [])
        self.failed = [reason.get("Code") == "ConditionalCheckFailed" for reason in reasons]


def _is_conditional(error: ClientError) -> bool:
    code = error.response["Error"]["Code"]
    if code == "TransactionCanceledException":
        reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
        return "ConditionalCheckFailed" in reasons
    return code == "ConditionalCheckFailedException"
