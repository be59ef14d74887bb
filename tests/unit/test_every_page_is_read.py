"""An operation that AWS answers in pages is called through a paginator or a token loop, everywhere in our code.

Which operations those are comes from botocore's models: a token in input and output, or an entry in paginators-1.json.
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
# Ours, or moto's own objects, of the same name: no client of AWS.
NOT_A_CLIENT = ("_table", "databases", "backend", "_backend", "cloudwatch_backend", "database")


@functools.cache
def paginated() -> frozenset[str]:
    found = set()
    for service in SERVICES:
        for operation in _operations(service):
            if paged(service, operation) is not None:
                found.add(xform_name(operation))
    return frozenset(found | {"query", "scan", "get_log_events"})  # their tokens are keys, or have a direction


def _operations(service: str) -> list[str]:
    model = operation_model(service, _any_operation(service))
    assert model is not None
    return list(model.service_model.operation_names)


@functools.cache
def _any_operation(service: str) -> str:
    import botocore.session  # noqa: PLC0415

    return str(botocore.session.get_session().get_service_model(service).operation_names[0])


def one_page_calls(source: str) -> Iterator[tuple[int, str]]:
    """Line and operation of each call of a paginated operation on a client."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        receiver = ast.unparse(node.func.value)
        if node.func.attr in paginated() and not receiver.endswith(NOT_A_CLIENT):
            yield node.lineno, node.func.attr


def test_no_call_of_ours_reads_the_first_page_only() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {operation}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "step_functions_api.py"  # it calls moto's interpreter
        for line, operation in one_page_calls(path.read_text())
    ]
    assert found == []


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
def test_the_models_tell_which_operations_have_pages(operation: str, expected: bool) -> None:
    assert (operation in paginated()) is expected


def test_a_direct_call_is_found_and_a_paginator_is_not() -> None:
    assert list(one_page_calls("client.list_tasks(cluster='a')")) == [(1, "list_tasks")]
    assert list(one_page_calls("boto3.client('ecs').list_tasks(cluster='a')")) == [(1, "list_tasks")]
    assert list(one_page_calls("client.get_paginator('list_tasks').paginate(cluster='a')")) == []
    assert list(one_page_calls("pages_of(client.list_service_deployments, cluster='a')")) == []
    assert list(one_page_calls("self._table.query('a')")) == []


def test_every_operation_without_a_paginator_is_given_to_a_token_loop() -> None:
    """A paginated operation that is mentioned and not called is an argument of a token loop, nothing else."""
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
                    assert id(node) in loops | called, f"{path.name}:{node.lineno} mentions {node.attr}"


class Answers:
    """An operation that answers as it is told, and remembers with which token it was asked."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self.pages, self.asked = list(pages), list[str | None]()

    def __call__(self, nextToken: str | None = None, **_: Any) -> dict[str, Any]:  # noqa: N803 - as AWS writes it
        self.asked.append(nextToken)
        return self.pages.pop(0)


def test_a_token_loop_goes_on_after_an_empty_page() -> None:
    call = Answers({"items": [1], "nextToken": "a"}, {"items": [], "nextToken": "b"}, {"items": [2]})
    assert [item for page in pages_of(call) for item in page["items"]] == [1, 2]
    assert call.asked == [None, "a", "b"]


def test_a_token_that_comes_again_is_the_end() -> None:
    call = Answers({"items": [1], "back": "a"}, {"items": [], "back": "a"})
    assert len(list(pages_of(call, "nextToken", "back"))) == 2


def test_a_list_is_cut_into_what_one_call_takes() -> None:
    assert list(batches(list(range(5)), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batches([], 2)) == []
