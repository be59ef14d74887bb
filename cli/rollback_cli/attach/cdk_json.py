"""Merge a described service into `cdk.json`: nothing else in the file changes, and it is replaced in one step."""

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rollback.errors import InvalidRequest
from rollback.text import quoted
from rollback_constructs.feature_flags import FEATURE_FLAGS  # imports no CDK

APP = "python -m rollback_constructs.app"
OUR_APPS = (APP, "python app.py", "python3 app.py", "python3 -m rollback_constructs.app")
# --replace writes these anew.
_FOUND_KEYS = (
    "cluster",
    "ecs_service",
    "container",
    "stack",
    "load_balancer_shared",
    "environment_file_buckets",
    "existing",
)
_DEFAULT_INDENT = 2


def read(path: Path) -> tuple[bytes | None, dict[str, Any]]:
    """Read a `cdk.json`.

    Returns:
        The bytes, None if there is no file, and the document.

    Raises:
        InvalidRequest: the file is no JSON object, or an object has a key twice, which a rewrite would lose.
        OSError: the file can't be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None, {}
    try:
        document = json.loads(content, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{path} is not valid JSON: {error}; correct the file first") from error
    if not isinstance(document, dict):
        raise InvalidRequest(f"{path} holds no JSON object; give another file by --cdk-json")
    return content, document


def merge(
    document: Mapping[str, Any],
    environment: str,
    service: Mapping[str, Any],
    new_environment: Mapping[str, Any],
    *,
    application: str | None = None,
    replaces: bool = False,
) -> dict[str, Any]:
    """Add a service to an environment in a document.

    Args:
        document: content of `cdk.json`; empty: there is no file yet.
        environment: name of the environment.
        service: element of its `services`.
        new_environment: other settings of the environment, if the document does not have it yet.
        application: name of the application; None: the document's, or the default.
        replaces: replace what was found of a service that is described already; settings that `init` does not find
            are kept.

    Raises:
        InvalidRequest: the service is described already, the file has another account or region, or another form.
    """
    if not document:
        document = {"app": APP, "context": dict(FEATURE_FLAGS)}
    context = _object(document.get("context", {}), "context")
    environments = _object(context.get("environments", {}), "context.environments")
    for name, settings in environments.items():
        _object(settings, f"context.environments.{name}")
    old = environments.get(environment)
    base = old if old is not None else new_environment
    _require_same_place(environment, base, new_environment)
    services = _list(base.get("services", []), f"context.environments.{environment}.services")
    position = _find(environments, environment, service, replaces=replaces)
    described = [*services, dict(service)]
    if position is not None:
        described = [_replace(one, service) if number == position else one for number, one in enumerate(services)]
    merged_environment = {**base, "services": described}
    merged_context = {**_with_application(context, application)}
    merged_context["environments"] = {**environments, environment: merged_environment}
    return {**document, "context": merged_context}


def render(document: Mapping[str, Any], original: bytes | None) -> bytes:
    """Write a document as JSON, indented as the original was."""
    text = json.dumps(document, indent=_indent_of(original), ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def write(path: Path, content: bytes, original: bytes | None) -> None:
    """Replace a file in one step, if it still has its original content; a symbolic link stays one.

    Raises:
        InvalidRequest: another process changed the file meanwhile.
        OSError: the file can't be written; the original is left as it is.
    """
    target = Path(os.path.realpath(path))
    current = target.read_bytes() if target.exists() else None
    if current != original:
        raise InvalidRequest(f"{path} was changed meanwhile; run the command again; nothing was written")
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(target.stat().st_mode & 0o777 if original is not None else 0o644)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _find(
    environments: Mapping[str, Any], environment: str, service: Mapping[str, Any], *, replaces: bool
) -> int | None:
    """Return the position of the described service in the environment; None: it is not described yet.

    Raises:
        InvalidRequest: it is described, and may not be replaced.
    """
    for name, settings in environments.items():
        for number, other in enumerate(_list(settings.get("services", []), f"context.environments.{name}.services")):
            path = f"context.environments.{name}.services.{number}"
            is_same_service = _identity(_object(other, path)) == _identity(service)
            has_same_name = name == environment and other.get("name") == service["name"]
            if not is_same_service and not has_same_name:
                continue
            label = quoted(other.get("name"))
            if not is_same_service:
                raise InvalidRequest(f"{path} has the name {label} for another ECS service; add --name NAME")
            if name != environment:
                raise InvalidRequest(f"{path} describes this ECS service already, as {label}; remove that one first")
            if other.get("workload") is not None:
                raise InvalidRequest(
                    f"{path} has a workload: this product's own stack deploys the service; leave it as it is"
                )
            if not replaces:
                raise InvalidRequest(
                    f"{path} describes this ECS service already, as {label}; add --replace to renew it"
                )
            return number
    return None


def _replace(old: Mapping[str, Any], service: Mapping[str, Any]) -> dict[str, Any]:
    """Renew the found settings of a service, and keep those that the team may have written.

    With a pattern of its own, the team has decided to watch a log group that `init` leaves out: the group is kept.
    """
    kept = {key: value for key, value in old.items() if key not in _FOUND_KEYS}
    renewed = {key: value for key, value in service.items() if key in _FOUND_KEYS}
    log_group = (old.get("existing") or {}).get("log_group")
    if old.get("error_log_pattern") is not None and log_group is not None:
        renewed["existing"] = {"log_group": log_group, **service["existing"]}
    order = [*old, *(key for key in service if key not in old)]
    merged = {**service, **kept, **renewed}
    return {key: merged[key] for key in order if key in merged}


def _identity(service: Mapping[str, Any]) -> tuple[str, str]:
    """Return cluster and service by name, whether the settings have names or ARNs."""
    cluster, name = str(service.get("cluster", "")), str(service.get("ecs_service", ""))
    return cluster.rpartition("/")[2], name.rpartition("/")[2]


def _require_same_place(environment: str, settings: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    for key in ("account", "region"):
        if key in settings and key in found and settings[key] != found[key]:
            raise InvalidRequest(
                f"context.environments.{environment}.{key} is {quoted(settings[key])}, and the service is in "
                f"{found[key]}; choose another --environment, or other credentials"
            )


def _with_application(context: Mapping[str, Any], application: str | None) -> dict[str, Any]:
    if application is None:
        return dict(context)
    settings = _object(context.get("application", {}), "context.application")
    if settings.get("name", application) != application:
        raise InvalidRequest(
            f"context.application.name is {quoted(settings['name'])}, and its name is part of every AWS name; leave "
            "--application out"
        )
    return {**context, "application": {**settings, "name": application}}


def _object(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRequest(
            f"{path} is {quoted(value)}, and no object of this product; give another file by --cdk-json"
        )
    return value


def _list(value: Any, path: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise InvalidRequest(f"{path} is {quoted(value)}, and no list of this product; give another file by --cdk-json")
    return value


def _indent_of(original: bytes | None) -> int | str:
    match = re.search(rb'^[{\[]\s*?\n([ \t]+)"', original or b"")
    if match is None:
        return _DEFAULT_INDENT
    text = match[1].decode()
    return text if "\t" in text else len(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    merged = dict(pairs)
    if len(merged) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has the key {twice!r} twice")
    return merged


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")
