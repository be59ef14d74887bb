"""Permissions that DynamoDB calls need. A transaction needs the action of each of its items."""

from collections.abc import Iterator
from typing import Any

from moto.dynamodb.models import dynamodb_backends

from local_cloud.iam.request import AuthorizedCall, PermissionCheck

_IN_TRANSACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
_WITHOUT_TABLE = {"ListTables", "DescribeLimits", "DescribeEndpoints", "ListBackups", "ListGlobalTables"}


def dynamodb_checks(request: AuthorizedCall) -> Iterator[PermissionCheck]:
    """Return the permissions of a DynamoDB call; none if it names no table."""
    parameters = request.parameters
    if request.operation in _WITHOUT_TABLE:
        yield PermissionCheck("", "*")
    elif request.operation in {"TransactWriteItems", "TransactGetItems"}:
        for item in parameters["TransactItems"]:
            for kind, body in item.items():
                context = _context(request, body["TableName"], [body.get("Key") or body.get("Item") or {}])
                context["dynamodb:enclosingoperation"] = [request.operation]
                yield PermissionCheck(f"dynamodb:{_IN_TRANSACTIONS[kind]}", _table(request, body["TableName"]), context)
    elif request.operation in {"BatchGetItem", "BatchWriteItem"}:
        for name, body in parameters["RequestItems"].items():
            yield PermissionCheck("", _table(request, name), _context(request, name, _batch_keys(body)))
    elif request.has("TableName"):
        name = request.one("TableName")
        index = f"/index/{request.one('IndexName')}" if request.has("IndexName") else ""
        keys = [parameters.get("Key") or parameters.get("Item") or {}]
        yield PermissionCheck("", _table(request, name) + index, _context(request, name, keys))
    elif request.has("ResourceArn"):
        yield PermissionCheck("", request.one("ResourceArn"))


def _batch_keys(body: Any) -> list[dict[str, Any]]:
    if isinstance(body, dict):
        return list(body.get("Keys", []))
    return [(entry.get("PutRequest") or {}).get("Item") or entry["DeleteRequest"]["Key"] for entry in body]


def _table(request: AuthorizedCall, name: str) -> str:
    return name if name.startswith("arn:") else request.arn("dynamodb", f"table/{name}")


def _context(request: AuthorizedCall, name: str, keys: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the condition key `dynamodb:LeadingKeys`: the partition keys that the call touches."""
    table = dynamodb_backends[request.account][request.region].tables.get(name.rsplit("/", 1)[-1])
    if table is None:
        return {}
    attribute = table.hash_key_attr
    leading = [str(next(iter(key[attribute].values()))) for key in keys if attribute in key]
    return {"dynamodb:leadingkeys": leading} if leading else {}
