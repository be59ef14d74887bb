"""Stages in processes of their own, and the environment that points this process at one."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.processes import Process

_CLOUD = [sys.executable, str(Path(__file__).with_name("cloud_process.py"))]


@contextmanager
def cloud_process(policy: Mapping[str, Any] | None = None) -> Iterator[dict[str, str]]:
    """An embedded cloud, with our stacks deployed under a policy if one is given; what a client of it needs."""
    arguments = [json.dumps(policy)] if policy is not None else []
    with Process([*_CLOUD, *arguments]) as process:
        variables: dict[str, str] = json.loads(process.line_with('"AWS_ENDPOINT_URL"'))
        yield variables


@contextmanager
def pointed_at(variables: Mapping[str, str]) -> Iterator[None]:
    """boto3 in this process speaks to that cloud."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in variables.items():
            patched.setenv(name, value)
        yield
