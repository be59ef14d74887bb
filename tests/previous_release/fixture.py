"""The previous release, as a fixture: what an upgrade starts from. `make.py` beside this file writes it."""

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from rollback_constructs.functions.build_cache import app_sources, file_contents, get_or_build
from rollback_constructs.functions.sources import PROJECT

Template = dict[str, Any]
Context = dict[str, Any]
FOLDER = PROJECT / "tests" / "fixtures" / "previous_release"
CODE, RELEASE = "lambdas.tar.gz", "release.json"
VARIANTS = ("shipped", "complete", "existing", "demo")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PLATFORM = f"{platform.machine()}-manylinux_2_28"
_ARCHITECTURES = {"aarch64": "arm64", "x86_64": "x86_64"}


def release() -> dict[str, str]:
    """Return the previous release's commit and version, and the digest of its code."""
    described: dict[str, str] = json.loads((FOLDER / RELEASE).read_text())
    return described


def templates_of(variant: str) -> dict[str, Template]:
    """Return the templates of the previous release by the stack's name."""
    files = sorted((FOLDER / variant).glob("*.template.json"))
    return {path.name.removesuffix(".template.json"): json.loads(path.read_text()) for path in files}


def context_of(variant: str) -> Context:
    """Return the settings from which the previous release made the templates of a variant."""
    context: Context = json.loads((FOLDER / variant / "context.json").read_text())
    return context


def upgraded_context(variant: str) -> Context:
    """Return the context after an upgrade: today's feature flags of `cdk.json`, with the settings as they were."""
    today: Context = json.loads((PROJECT / "cdk.json").read_text())["context"]
    return {**today, **context_of(variant)}


def upgraded_templates(variant: str) -> dict[str, Template]:
    """Return the templates that today's code makes of the previous release's settings, by the stack's name."""
    context = upgraded_context(variant)
    inputs = [json.dumps(context), *app_sources(), *file_contents(Path(__file__))]
    folder = get_or_build("test-assemblies", inputs, partial(_synthesise, context))
    return {
        path.name.removesuffix(".template.json"): json.loads(path.read_text())
        for path in sorted(folder.glob("*.template.json"))
    }


def _synthesise(context: Context, out: Path) -> None:
    from stacks.assembly import synthesise  # noqa: PLC0415 - this import starts Node, which needs the venv's PATH

    synthesise(out, {"aws:cdk:bundling-stacks": [], **context})


def unpack_code(out: Path) -> None:
    """Unpack the previous release's `lambdas/`: the package `rollback`, and its locked requirements.

    Raises:
        AssertionError: the archive is not the one that `make.py` wrote.
    """
    archive = FOLDER / CODE
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == release()["code_sha256"], archive
    with tarfile.open(archive) as packed:
        packed.extractall(out, filter="data")


def bundle() -> Path:
    """Return the bundle of the previous release's functions, for this machine, with the packages that it locked."""
    inputs = [PLATFORM, PYTHON, release()["code_sha256"], *file_contents(Path(__file__))]
    return get_or_build("previous-bundles", inputs, _build_bundle)


def _build_bundle(out: Path) -> None:
    sources = out / "sources"
    unpack_code(sources)
    command = [
        find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:",
        "--link-mode", "copy", "--python-platform", PLATFORM, "--python-version", PYTHON, "--target", str(out),
        "-r", str(sources / "requirements.txt"),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    shutil.move(sources / "rollback", out / "rollback")
    shutil.rmtree(sources)
    compile_command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(out)]
    subprocess.run(compile_command, capture_output=True, check=False)  # a file that does not compile stays source


def write_assembly(variant: str, out: Path, replacements: Mapping[str, str]) -> None:
    """Write the previous release's cloud assembly, with its functions' bundle for this machine.

    Args:
        variant: one of `VARIANTS`.
        out: folder that gets the assembly.
        replacements: placeholder in the templates → value in this run.
    """
    code = bundle()
    (out / "asset.code").symlink_to(code)
    key = f"{release()['code_sha256']}.zip"
    destination = {"bucketName": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}", "objectKey": key}
    asset = {"source": {"path": "asset.code", "packaging": "zip"}, "destinations": {"here": destination}}
    (out / "previous.assets.json").write_text(json.dumps({"files": {"code": asset}}))
    artifacts: dict[str, Any] = {
        "previous.assets": {"type": "cdk:asset-manifest", "properties": {"file": "previous.assets.json"}}
    }
    earlier = ["previous.assets"]
    for name, template in sorted(templates_of(variant).items(), key=lambda named: "Rollback" in named[0]):
        _run_here(template, key)
        text = json.dumps(template)
        for placeholder, value in replacements.items():
            text = text.replace(placeholder, value)
        (out / f"{name}.template.json").write_text(text)
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "properties": {"templateFile": f"{name}.template.json"},
            "dependencies": list(earlier),
        }
        earlier.append(name)
    (out / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))


def _run_here(template: Template, key: str) -> None:
    """Let the functions run on this machine: its Python, its processor, and the bundle that was built for them."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["Runtime"] = f"python{PYTHON}"
            resource["Properties"]["Architectures"] = [_ARCHITECTURES[platform.machine()]]
            resource["Properties"]["Code"]["S3Key"] = key
