"""Payload of a target: EventBridge's Input, InputPath and InputTransformer."""

import json
import re
from typing import Any

_STEP = re.compile(r"\.([\w-]+)|\['([^']+)'\]|\[(\d+)\]")
_PLACEHOLDER = re.compile(r"<([\w.-]+)>")
_MISSING = object()


def payload_for(target: dict[str, Any], event: dict[str, Any], rule_arn: str) -> str:
    """Return the text that `target` (as PutTargets takes it) receives for `event`."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        chosen = select(target["InputPath"], event)
        return json.dumps(None if chosen is _MISSING else chosen)
    if "InputTransformer" in target:
        transformer = target["InputTransformer"]
        return transform(transformer["InputTemplate"], transformer.get("InputPathsMap") or {}, event, rule_arn)
    return json.dumps(event)


def select(path: str, event: dict[str, Any]) -> Any:
    """Return the value at a JSON path of fields and indices, which are all that EventBridge takes."""
    value: Any = event
    for field, quoted, index in _STEP.findall(path.removeprefix("$")):
        try:
            value = value[int(index)] if index else value[field or quoted]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return value


def transform(template: str, paths: dict[str, str], event: dict[str, Any], rule_arn: str) -> str:
    """Fill a template. A placeholder inside quotes becomes text, and outside it becomes JSON."""
    values = {name: select(path, event) for name, path in paths.items()}
    values |= {
        "aws.events.event": event,
        "aws.events.event.json": event,
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_arn.rsplit("/", 1)[-1],
        "aws.events.event.ingestion-time": event["time"],
    }
    filled, end = [], 0
    for match in _PLACEHOLDER.finditer(template):
        if match[1] in values:
            is_quoted = _is_inside_quotes(template[: match.start()])
            filled += [template[end : match.start()], _text(values[match[1]], is_quoted)]
            end = match.end()
    return "".join([*filled, template[end:]])


def _text(value: Any, is_quoted: bool) -> str:
    if value is _MISSING:
        return "" if is_quoted else '""'
    if not is_quoted:
        return json.dumps(value)
    text = value if isinstance(value, str) else json.dumps(value)
    return json.dumps(text)[1:-1]


def _is_inside_quotes(text: str) -> bool:
    return len(re.findall(r'(?<!\\)"', text)) % 2 == 1
