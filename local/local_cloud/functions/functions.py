"""Invocation of Lambda functions in warm subprocesses, in place of moto's Docker containers.

Replaces `moto.awslambda.models.LambdaFunction.invoke`. A failed asynchronous (Event) invocation is retried twice, after
one and two simulated minutes, as on AWS. Then it goes to the dead-letter queue and the failure destination.
"""

import base64
import collections
import io
import json
import threading
import time
import uuid
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaFunction
from moto.logs.models import logs_backends

from local_cloud import clock
from local_cloud.cloudwatch import own_metrics
from local_cloud.events.targets import queue_url
from local_cloud.functions.sandbox import FunctionSettings, InvocationResult, Sandbox, remove_runtime_directory
from local_cloud.iam import credentials
from local_cloud.processes import owned_folders

_RETRY_DELAYS_SECONDS = (60.0, 120.0)
_lock = threading.Lock()
_stopping = threading.Event()
_code_directories: dict[str, Path] = {}
_idle: dict[FunctionSettings, list[Sandbox]] = {}
_busy: set[Sandbox] = set()
_in_flight: collections.Counter[str] = collections.Counter()


def install() -> None:
    """Run functions here from now on."""
    _stopping.clear()
    LambdaFunction.invoke = _invoke


def stop() -> None:
    """End every subprocess, and remove the unpacked code."""
    _stopping.set()
    with _lock:
        sandboxes = [sandbox for pool in _idle.values() for sandbox in pool] + list(_busy)
        directories = list(_code_directories.values())
        _idle.clear()
        _busy.clear()
        _code_directories.clear()
    for sandbox in sandboxes:
        sandbox.close()
    for directory in directories:
        owned_folders.remove(directory)
    remove_runtime_directory()


def running_sandboxes(function_arn: str) -> int:
    """Return the number of a function's warm execution environments."""
    with _lock:
        idle = [sandbox for pool in _idle.values() for sandbox in pool]
        return sum(sandbox.settings.arn == function_arn for sandbox in [*idle, *_busy])


def run(function: Any, body: bytes) -> InvocationResult:
    """Run a moto LambdaFunction once, in a warm environment if one is free.

    Raises:
        LambdaClientError: TooManyRequestsException, since reserved concurrency is used up.
    """
    reserved = function.reserved_concurrency
    with _lock:
        if reserved is not None and _in_flight[function.function_arn] >= int(reserved):
            own_metrics.count_throttle(function)
            throttled = LambdaClientError("TooManyRequestsException", "Rate Exceeded.")
            throttled.code = 429
            raise throttled
        _in_flight[function.function_arn] += 1
    try:
        settings = _settings(function)
        sandbox, began_at = _acquire_sandbox(settings), time.monotonic()
        outcome = sandbox.invoke(body)
        own_metrics.count_invocation(function, succeeded=outcome.succeeded, seconds=time.monotonic() - began_at)
        _release_sandbox(sandbox)
    finally:
        with _lock:
            _in_flight[function.function_arn] -= 1
    _write_logs(function, sandbox, outcome.logs)
    return outcome


def _settings(function: Any) -> FunctionSettings:
    return FunctionSettings(
        arn=function.function_arn,
        name=function.function_name,
        version="$LATEST",
        region=function.region,
        role=function.role,
        handler=function.handler,
        runtime=function.run_time,
        memory_mib=int(function.memory_size),
        timeout_seconds=float(function.timeout),
        environment=tuple(sorted((name, str(value)) for name, value in function.environment_vars.items())),
        log_group=log_group_of(function),
        code_directory=_unpack_code(function),
        in_vpc=bool((function.vpc_config or {}).get("SubnetIds")),
    )


def log_group_of(function: Any) -> str:
    """Return the group of LoggingConfig (kept by the CloudFormation type), or AWS's default."""
    return str(getattr(function, "configured_log_group", None) or function.logs_group_name)


def _unpack_code(function: Any) -> Path:
    with _lock:
        directory = _code_directories.get(function.code_sha_256)
        if directory is None:
            directory = owned_folders.make("lambda-code")
            with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as archive:
                archive.extractall(directory)
            _code_directories[function.code_sha_256] = directory
        return directory


def _acquire_sandbox(settings: FunctionSettings) -> Sandbox:
    outdated: list[Sandbox] = []
    with _lock:
        for other in [
            settings_in_use
            for settings_in_use in _idle
            if settings_in_use.arn == settings.arn and settings_in_use != settings
        ]:
            outdated += _idle.pop(other)
        pool = _idle.get(settings, [])
        sandbox = next((pool.pop(index) for index in reversed(range(len(pool))) if pool[index].alive), None)
    for old in outdated:
        old.close()
    sandbox = sandbox or Sandbox(settings)
    with _lock:
        _busy.add(sandbox)
    return sandbox


def _release_sandbox(sandbox: Sandbox) -> None:
    with _lock:
        _busy.discard(sandbox)
        if sandbox.alive and not _stopping.is_set():
            _idle.setdefault(sandbox.settings, []).append(sandbox)
            return
    sandbox.close()  # its process died, or `stop` has run without it


def _write_logs(function: Any, sandbox: Sandbox, lines: list[str]) -> None:
    logs, group = logs_backends[function.account_id][function.region], sandbox.settings.log_group
    now = int(time.time() * 1000)
    with _lock:
        logs.ensure_log_group(group)
        if sandbox.log_stream not in logs.groups[group].streams:
            logs.create_log_stream(group, sandbox.log_stream)
        logs.put_log_events(group, sandbox.log_stream, [{"timestamp": now, "message": line} for line in lines if line])


def _invoke(self: Any, body: Any, request_headers: Any, response_headers: dict[str, str]) -> bytes:
    payload = (body.encode() if isinstance(body, str) else body) or b"{}"
    headers = {str(name).lower(): value for name, value in dict(request_headers or {}).items()}
    kind = headers.get("x-amz-invocation-type", "RequestResponse")
    if kind == "DryRun":
        return b""
    if kind == "Event":
        threading.Thread(target=_run_until_it_succeeds, args=(self, payload), daemon=True).start()
        return b""
    outcome = run(self, payload)
    if not outcome.succeeded:
        response_headers["x-amz-function-error"] = "Unhandled"
    response_headers["x-amz-log-result"] = base64.b64encode("\n".join(outcome.logs).encode()[-4096:]).decode()
    response_headers["X-Amz-Executed-Version"] = "$LATEST"
    return outcome.payload


def _run_until_it_succeeds(function: Any, payload: bytes) -> None:
    outcome, config = None, _event_invoke_config(function)
    for delay in (0.0, *_RETRY_DELAYS_SECONDS[: config.get("MaximumRetryAttempts", len(_RETRY_DELAYS_SECONDS))]):
        if _stopping.wait(clock.real_seconds(delay)):
            return
        try:
            outcome = run(function, payload)
        except LambdaClientError:  # throttled: AWS keeps the event and retries
            continue
        if outcome.succeeded:
            return
    if _stopping.is_set():
        return
    destination = config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    if destination is not None:
        _send_failure(function, destination, payload, outcome)
    target = getattr(function, "dead_letter_target", None)
    if target is not None:
        _send_dead_letter(function, target, payload, outcome)


def _send_dead_letter(function: Any, target: str, payload: bytes, outcome: InvocationResult | None) -> None:
    message = payload.decode()
    error = json.loads(outcome.payload)["errorMessage"] if outcome else "Rate Exceeded."
    attributes = {"ErrorMessage": {"DataType": "String", "StringValue": str(error)[:1024] or "-"}}
    if ":sns:" in target:
        sns = credentials.service_client("sns", function.region, function.role)
        sns.publish(TopicArn=target, Message=message, MessageAttributes=attributes)
    else:
        sqs = credentials.service_client("sqs", function.region, function.role)
        url = sqs.get_queue_url(QueueName=target.rsplit(":", 1)[1])["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=message, MessageAttributes=attributes)


def _event_invoke_config(function: Any) -> dict[str, Any]:
    """Return the newest configuration. moto keeps the earlier ones too."""
    configs = getattr(function, "event_invoke_config", None)
    return dict(configs[-1].response()) if configs else {}


def _send_failure(function: Any, queue_arn: str, payload: bytes, outcome: InvocationResult | None) -> None:
    """Send an invocation record with the function's role (Lambda developer guide, "Adding a destination")."""
    record = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": f"{function.function_arn}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 1 + len(_RETRY_DELAYS_SECONDS),
        },
        "requestPayload": json.loads(payload),
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": json.loads(outcome.payload) if outcome is not None else None,
    }
    sqs = credentials.service_client("sqs", queue_arn.split(":")[3], function.role)
    sqs.send_message(QueueUrl=queue_url(queue_arn), MessageBody=json.dumps(record))
