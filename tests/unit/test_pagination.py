"""Operations that AWS answers in pages are called through a paginator or a token loop, everywhere in our code.

botocore's models name these operations: by a token in input and output, or by an entry in paginators-1.json.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name

from local_cloud.moto_fixes.pagination_model import operation_model, paged
from rollback.adapters.aws.paging import batches, pages_of

ROOT = Path(__file__).parents[2]
FOLDERS = ("lambdas/rollback", "cli/rollback_cli", "local/local_cloud", "constructs", "stacks")
SERVICES = (
    "application-autoscaling", "cloudformation", "cloudwatch", "dynamodb", "ec2", "ecr", "ecs", "elbv2", "events",
    "iam", "kms", "lambda", "logs", "s3", "scheduler", "secretsmanager", "sns", "sqs", "ssm", "stepfunctions", "sts",
    "xray",
)  # fmt: skip
TOKEN_LOOPS = {"pages_of"}
# Objects of ours or of moto with methods of the same names: no clients of AWS.
NOT_A_CLIENT = ("_table", "neon", "backend", "_backend", "cloudwatch_backend", "database")


@functools.cache
def paginated() -> frozenset[str]:
    operations = set()
    for service in SERVICES:
        for operation in _operations(service):
            if paged(service, operation) is not None:
                operations.add(xform_name(operation))
    # The models don't show pages of these three: their tokens are keys or have a direction.
    return frozenset(operations | {"query", "scan", "get_log_events"})


def _operations(service: str) -> list[str]:
    model = operation_model(service, _any_operation(service))
    assert model is not None
    return list(model.service_model.operation_names)


@functools.cache
def _any_operation(service: str) -> str:
    import botocore.session  # noqa: PLC0415

    return str(botocore.session.get_session().get_service_model(service).operation_names[0])


def one_page_calls(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and operation of each call of a paginated operation on a client."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        receiver = ast.unparse(node.func.value)
        if node.func.attr in paginated() and not receiver.endswith(NOT_A_CLIENT):
            yield node.lineno, node.func.attr


def test_no_call_reads_only_the_first_page() -> None:
    calls = [
        f"{path.relative_to(ROOT)}:{line}: {operation}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "step_functions_api.py"  # this file calls moto's interpreter
        for line, operation in one_page_calls(path.read_text())
    ]
    assert calls == []


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("list_service_deployments", True),
        ("describe_parameters", True),
        ("list_stack_resources", True),
        ("get_metric_data", True),
        ("get_log_events", True),
        ("describe_services", False),
        ("describe_tasks", False),
        ("describe_target_health", False),
        ("describe_service_revisions", False),
    ],
)
def test_the_models_name_the_operations_that_have_pages(operation: str, expected: bool) -> None:
    assert (operation in paginated()) is expected


def test_the_check_finds_a_direct_call_and_accepts_a_paginator() -> None:
    assert list(one_page_calls("client.list_tasks(cluster='a')")) == [(1, "list_tasks")]
    assert list(one_page_calls("boto3.client('ecs').list_tasks(cluster='a')")) == [(1, "list_tasks")]
    assert list(one_page_calls("client.get_paginator('list_tasks').paginate(cluster='a')")) == []
    assert list(one_page_calls("pages_of(client.list_service_deployments, cluster='a')")) == []
    assert list(one_page_calls("self._table.query('a')")) == []


def test_every_operation_without_a_paginator_is_read_by_a_token_loop() -> None:
    """A paginated operation that is named without a call is an argument of a token loop."""
    for folder in FOLDERS[:2]:
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text())
            loops = {
                id(argument)
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in TOKEN_LOOPS
                for argument in node.args
            }
            called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and node.attr in paginated() - {"query", "scan"}:
                    assert id(node) in loops | called, f"{path.name}:{node.lineno} names {node.attr} outside a loop"


class Answers:
    """Operation that returns these pages and records the tokens of its calls."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self.pages, self.tokens = list(pages), list[str | None]()

    def __call__(self, nextToken: str | None = None, **_: Any) -> dict[str, Any]:  # noqa: N803 - as AWS writes it
        self.tokens.append(nextToken)
        return self.pages.pop(0)


def test_a_token_loop_reads_on_after_an_empty_page() -> None:
    call = Answers({"items": [1], "nextToken": "a"}, {"items": [], "nextToken": "b"}, {"items": [2]})
    assert [item for page in pages_of(call) for item in page["items"]] == [1, 2]
    assert call.tokens == [None, "a", "b"]


def test_a_repeated_token_ends_the_loop() -> None:
    call = Answers({"items": [1], "back": "a"}, {"items": [], "back": "a"})
    assert len(list(pages_of(call, "nextToken", "back"))) == 2


def test_a_list_is_cut_into_batches_of_one_call() -> None:
    assert list(batches(list(range(5)), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batches([], 2)) == []
