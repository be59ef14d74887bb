"""Synthesise the app for this machine: the same stacks, with a bundle that this Python can run."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from local_cloud.processes import child_processes, owned_folders
from rollback_cli.demo.profile import SCALE
from rollback_constructs.functions.build_cache import app_sources, file_contents, get_or_build
from rollback_constructs.functions.sources import PROJECT

# Stands in the cached assembly for the application's address, which differs in each run.
APPLICATION_URL_PLACEHOLDER = "http://application.invalid"


class SynthesisFailed(Exception):
    """`app.py` did not synthesise; the message ends with its output."""


def synthesise(out: Path, environment: str, overrides: dict[str, Any], replacements: Mapping[str, str]) -> None:
    """Write the cloud assembly of one environment, from the build cache if no input has changed.

    Args:
        out: folder that gets the assembly.
        environment: its name in `cdk.json`.
        overrides: settings that replace those in `cdk.json`.
        replacements: placeholder in the overrides → value in this run.

    Raises:
        SynthesisFailed: the app ended with an error.
    """
    context = json.loads((PROJECT / "cdk.json").read_text())["context"]
    context |= {
        "rollback:environments": environment,
        "rollback:overrides": json.dumps(overrides),
        "rollback:clock_scale": SCALE,
    }
    synthesise_context(out, context, replacements)


def synthesise_context(out: Path, context: Mapping[str, Any], replacements: Mapping[str, str]) -> None:
    """Write the cloud assembly of a whole context, from the build cache if no input has changed.

    Args:
        out: folder that gets the assembly.
        context: the context of `cdk.json`, without the platform of the bundle: this machine's is used.
        replacements: placeholder in the context → value in this run.

    Raises:
        SynthesisFailed: the app ended with an error.
    """
    context = {
        **context,
        "rollback:bundle_platform": f"{platform.machine()}-manylinux_2_28",
        "rollback:bundle_python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }
    inputs = [json.dumps(context), *app_sources(), *file_contents(Path(__file__))]
    for file in get_or_build("assemblies", inputs, partial(_run_app, context)).iterdir():
        if file.is_dir():
            (out / file.name).symlink_to(file)  # an asset
        elif file.name.endswith(".template.json"):
            (out / file.name).write_text(_replace_placeholders(file.read_text(), replacements))
        else:
            shutil.copy(file, out)


def _replace_placeholders(template: str, replacements: Mapping[str, str]) -> str:
    for placeholder, value in replacements.items():
        template = template.replace(placeholder, value)
    return template


def _run_app(context: dict[str, Any], out: Path) -> None:
    temporary = owned_folders.make("synthesis")  # jsii's folders are removed too if this process has to stop the app
    variables = {
        **os.environ,
        "TMPDIR": str(temporary),
        "CDK_OUTDIR": str(out),
        "CDK_CONTEXT_JSON": json.dumps(context),
        "CDK_VALIDATION": "false",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    result = child_processes.run([sys.executable, str(PROJECT / "app.py")], cwd=PROJECT, env=variables)
    owned_folders.remove(temporary)
    if result.returncode:
        raise SynthesisFailed(f"app.py ended with {result.returncode}:\n{(result.stdout + result.stderr)[-3000:]}")
