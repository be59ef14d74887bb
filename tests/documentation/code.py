"""Judges blocks of code by their language: Python, JSON, YAML, SQL and plain text."""

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
import yaml
from botocore.exceptions import UnknownServiceError
from documentation import programs
from documentation.pages import Block
from documentation.shell import read_commands

from rollback_constructs.settings.environment import Application, Environment

_SCHEMAS = {"application": Application, "environments": Environment}
# Prefix of IAM's actions → service of the SDK, where they differ (Service Authorization Reference).
_SERVICES = {"states": "stepfunctions", "elasticloadbalancing": "elbv2", "elasticfilesystem": "efs"}
# Actions of operations with another name: TransactWriteItems, Invoke and ListObjectsV2.
_WITHOUT_OPERATION = frozenset({"dynamodb:ConditionCheckItem", "lambda:InvokeFunction", "s3:ListBucket"})


def language_of(block: Block) -> str:
    """Return the fence's language; without one, guess from the first line."""
    if block.language:
        return {"sh": "bash", "shell": "bash", "console": "bash", "yml": "yaml"}.get(block.language, block.language)
    first = block.text.lstrip()
    word = first.split()[0] if first.split() else ""
    if programs.is_program(word) or re.match(r"[A-Z_]+=", word) or word == "…":
        return "bash"
    if first.startswith(("{", '"')):
        return "json"
    if first.startswith(("from ", "import ")) or re.match(r"[a-z_.]+\(|with ", first):
        return "python"
    return "text"


def judge_python(block: Block) -> Iterator[str]:
    """Yield why Python would not compile the block."""
    try:
        ast.parse(block.text)
    except SyntaxError as error:
        yield f"no Python: {error.msg} in line {error.lineno}"


def judge_json(block: Block) -> Iterator[str]:
    """Yield why the block, or each of its lines, is no JSON, and members that no setting has."""
    documents = [document for document in (_read(block.text),) if document is not None]
    if not documents:
        documents = [document for line in block.text.splitlines() if (document := _read(line)) is not None]
        if len(documents) != len([line for line in block.text.splitlines() if line.strip()]):
            yield "no JSON, and not a JSON object on each line"
            return
    for document in documents:
        yield from _judge_settings(document)
        yield from judge_policy(document)


def _read(text: str) -> Any:
    for candidate in (text, f"{{{text}}}"):
        try:
            return json.loads(candidate)
        except ValueError:
            continue
    return None


@cache
def _definitions() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    schema = Environment.model_json_schema()
    return schema, schema["$defs"]


def _judge_settings(document: Any) -> Iterator[str]:
    """Yield members that the settings do not have, in a block that shows settings."""
    if not isinstance(document, Mapping):
        return
    schema, definitions = _definitions()
    service = definitions["Service"]
    names = set(document)
    if "environments" in names:
        for name, environment in document["environments"].items():
            yield from _judge_members(environment, schema, f"environments.{name}")
    elif names <= set(schema["properties"]):
        yield from _judge_members(document, schema, "environment")
    elif names <= set(service["properties"]):
        yield from _judge_members(document, service, "service")
    elif names <= set(definitions["DatabaseSettings"]["properties"]):
        yield from _judge_members(document, definitions["DatabaseSettings"], "database")
    else:
        for value in document.values():
            if isinstance(value, Mapping) and "services" in value:
                yield from _judge_members(value, schema, "environment")


def _judge_members(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    _, definitions = _definitions()
    if "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) == 1:
        yield from _judge_members(value, options[0], path)
    elif isinstance(value, Mapping) and "properties" in schema:
        for name, inner in value.items():
            if name in schema["properties"]:
                yield from _judge_members(inner, schema["properties"][name], f"{path}.{name}")
            else:
                yield f"{path} has no setting {name}"
    elif isinstance(value, list) and "items" in schema:
        for inner in value:
            yield from _judge_members(inner, schema["items"], f"{path}[]")
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{path} is {value!r}; allowed are {schema['enum']}"


def judge_policy(document: Any) -> Iterator[str]:
    """Yield actions of an IAM policy that no service has."""
    if not isinstance(document, Mapping) or "Statement" not in document:
        return
    for statement in document["Statement"]:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            prefix, _, name = action.partition(":")
            service = _SERVICES.get(prefix, prefix)
            if action not in _WITHOUT_OPERATION and name not in _operations(service):
                yield f"IAM has no action {action}"


@cache
def _operations(service: str) -> frozenset[str]:
    try:
        return frozenset(botocore.session.Session().get_service_model(service).operation_names)
    except UnknownServiceError:
        return frozenset()


def judge_yaml(block: Block) -> Iterator[str]:
    """Yield why the block is no YAML, and what is wrong with the commands of its steps."""
    try:
        document = yaml.safe_load(block.text)
    except yaml.YAMLError as error:
        yield f"no YAML: {error}"
        return
    for script in _scripts(document):
        for command in read_commands(script):
            yield from (f"{' '.join(command.words)}: {problem}" for problem in programs.judge(command))


def _scripts(document: Any) -> Iterator[str]:
    if isinstance(document, Mapping):
        yield from (value for key, value in document.items() if key == "run" and isinstance(value, str))
        for value in document.values():
            yield from _scripts(value)
    elif isinstance(document, list):
        for value in document:
            yield from _scripts(value)


def judge_text(block: Block) -> Iterator[str]:
    """Yield lines of plain text that are commands: those belong into a block of the language bash."""
    for line in block.text.splitlines():
        word = line.split()[0] if line.split() else ""
        if word in {"aws", "cdk", "make", "curl"} or (word == "rollback" and re.match(r"rollback [a-z-]+ [a-z]", line)):
            yield f"a command in a block of text: {line}"


JUDGES: Mapping[str, Callable[[Block], Iterator[str]]] = {
    "json": judge_json,
    "python": judge_python,
    "text": judge_text,
    "yaml": judge_yaml,
}
NOT_JUDGED = frozenset({"mermaid", "sql"})  # a browser draws the diagrams; SQL is for a person's own database
