"""Synthesises the app for this machine: the same stacks, with a bundle that this Python can run."""

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
from rollback_constructs.build_cache import PROJECT, app_sources, file_contents, get_or_build

# Stands for the application's address, which is another one each time, in an assembly that is kept.
APPLICATION_URL_PLACEHOLDER = "http://application.invalid"


class SynthesisFailed(Exception):
    """`app_sources.py` did not synthesise; the message is what it said."""


def synthesise(out: Path, environment: str, overrides: dict[str, Any], replacements: Mapping[str, str]) -> None:
    """Write the cloud assembly of one environment, the last one if nothing has changed.

    Args:
        filled: what is another one each time, by what stands for it in the overrides.

    Raises:
        SynthesisFailed: with the end of the app's own words.
    """
    context = json.loads((PROJECT / "cdk.json").read_text())["context"]
    context |= {
        "rollback:environments": environment,
        "rollback:overrides": json.dumps(overrides),
        "rollback:bundle_platform": f"{platform.machine()}-manylinux_2_28",
        "rollback:bundle_python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }
    inputs = [json.dumps(context), *app_sources(), *file_contents(Path(__file__))]
    for made in get_or_build("assemblies", inputs, partial(_run_app, context)).iterdir():
        if made.is_dir():
            (out / made.name).symlink_to(made)  # an asset
        elif made.name.endswith(".template.json"):
            (out / made.name).write_text(_replace_placeholders(made.read_text(), replacements))
        else:
            shutil.copy(made, out)


def _replace_placeholders(template: str, replacements: Mapping[str, str]) -> str:
    for standing, meant in replacements.items():
        template = template.replace(standing, meant)
    return template


def _run_app(context: dict[str, Any], out: Path) -> None:
    temporary = owned_folders.make("synthesis")  # jsii's own folders too go with this process, if it has to end the app
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
