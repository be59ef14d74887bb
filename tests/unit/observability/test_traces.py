"""X-Ray subsegments: only in a sampled invocation, and never a reason for a step to fail."""

import subprocess
import sys
from contextlib import contextmanager
from typing import Any

import pytest

from rollback.observability import traces

SAMPLED = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=557abcec3ee5a047;Sampled=1"


@pytest.mark.parametrize(
    ("variables", "is_sampled"),
    [
        ({}, False),
        ({"_X_AMZN_TRACE_ID": SAMPLED}, False),
        ({"_X_AMZN_TRACE_ID": SAMPLED, "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000"}, True),
        ({"_X_AMZN_TRACE_ID": SAMPLED[:-1] + "0", "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000"}, False),
        (
            {
                "_X_AMZN_TRACE_ID": SAMPLED,
                "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
                "POWERTOOLS_TRACE_DISABLED": "true",
            },
            False,
        ),
    ],
)
def test_a_call_is_traced_only_if_x_ray_keeps_the_trace_and_a_daemon_listens(
    variables: dict[str, str], is_sampled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_X_AMZN_TRACE_ID", "AWS_XRAY_DAEMON_ADDRESS", "POWERTOOLS_TRACE_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert traces.is_sampled() is is_sampled


class _Subsegment:
    """Subsegment that stores what a trace would tell."""

    def __init__(self) -> None:
        self.annotations: dict[str, str] = {}
        self.is_error = False

    def add_error_flag(self) -> None:
        self.is_error = True

    def put_annotation(self, key: str, value: str) -> None:
        self.annotations[key] = value


class _Provider:
    def __init__(self, fails_at: str = "") -> None:
        self.subsegment, self.fails_at, self.seen = _Subsegment(), fails_at, []  # type: ignore[var-annotated]

    @contextmanager
    def in_subsegment(self, name: str) -> Any:
        if self.fails_at == "begin":
            raise RuntimeError("no segment")
        try:
            yield self.subsegment
        except BaseException as error:
            self.seen.append(error)
            raise
        if self.fails_at == "end":
            raise RuntimeError("the daemon is away")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> _Provider:
    provider = _Provider()
    monkeypatch.setattr(traces, "is_sampled", lambda: True)
    monkeypatch.setattr(traces, "_provider", lambda: provider)
    return provider


@pytest.mark.parametrize("fails_at", ["begin", "end"])
def test_a_failure_of_x_ray_does_not_reach_the_call(provider: _Provider, fails_at: str) -> None:
    provider.fails_at = fails_at
    with traces.trace_call("ledger.save"):
        answer = 1
    assert answer == 1


def test_a_failed_call_raises_its_error_and_the_trace_has_only_the_errors_class(provider: _Provider) -> None:
    with pytest.raises(ValueError, match="secret"), traces.trace_call("ledger.save"):
        raise ValueError("secret")
    assert provider.subsegment.is_error
    assert provider.subsegment.annotations == {"failure": "ValueError"}
    assert provider.seen == []


def test_a_sampled_call_without_a_segment_or_a_daemon_is_made_by_the_real_sdk() -> None:
    program = (
        "from rollback.observability.traces import trace_call\nwith trace_call('ledger.save'):\n    print('made')\n"
    )
    environment = {
        "PYTHONPATH": ":".join(sys.path),
        "_X_AMZN_TRACE_ID": SAMPLED,
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:9",
        "LAMBDA_TASK_ROOT": "/var/task",
        "POWERTOOLS_SERVICE_NAME": "service",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "made\n"
    assert "Traceback" not in done.stderr


def test_no_function_imports_the_x_ray_sdk_before_a_sampled_call() -> None:
    program = (
        "import sys\nfrom rollback.handlers import FUNCTIONS\n"
        "for name in FUNCTIONS:\n    __import__(f'rollback.functions.{name}')\n"
        "assert not [m for m in sys.modules if 'xray' in m or 's3transfer' in m]"
    )
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": ":".join(sys.path)}, check=True, timeout=60)
