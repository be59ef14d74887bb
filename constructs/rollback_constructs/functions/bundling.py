"""One code asset for all functions, built by uv without Docker for the platform that runs it."""

import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_
from pydantic import BaseModel, ConfigDict, Field
from uv import find_uv_bin

from rollback_constructs.functions.build_cache import file_contents, get_or_build
from rollback_constructs.functions.sources import LAMBDAS

_EXCLUDED = ("**/__pycache__", "**/*.pyc", "**/.*")
# The SDK's models of all AWS services take 28 MB; `tests/constructs/test_bundle.py` derives these from the call graph.
AWS_SERVICES = frozenset(
    {
        "application-autoscaling", "cloudformation", "cloudwatch", "dynamodb", "ecr", "ecs", "elbv2", "events", "iam",
        "kms", "lambda", "logs", "s3", "secretsmanager", "sns", "ssm", "stepfunctions", "sts",
    }
)  # fmt: skip


class BundleSettings(BaseModel):
    """The platform of the bundle: its name for `uv --python-platform`, and a Python minor version.

    manylinux2014 is too old for psycopg on aarch64, whose wheels need glibc 2.27. Lambda has glibc 2.34 from Python
    3.12 on (Amazon Linux 2023), and 2.26 before (Amazon Linux 2). A wheel for a newer glibc installs, and fails when
    Python imports it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: str = Field(default="aarch64-manylinux_2_28", pattern=r"^(aarch64|x86_64)-manylinux(2014|_2_\d+)$")
    python: str = Field(default="3.13", pattern=r"^3\.1[0-9]$")

    @property
    def runtime(self) -> lambda_.Runtime:
        """Lambda's runtime of that Python."""
        return lambda_.Runtime(f"python{self.python}", lambda_.RuntimeFamily.PYTHON)

    @property
    def architecture(self) -> lambda_.Architecture:
        """Lambda's architecture of that platform."""
        arm = self.platform.startswith("aarch64")
        return lambda_.Architecture.ARM_64 if arm else lambda_.Architecture.X86_64


class BundlingFailed(Exception):
    """uv could not build the bundle; the message has its output."""


@jsii.implements(ILocalBundling)
class _UvBundling:
    def __init__(self, settings: BundleSettings, *, signs: bool) -> None:
        self._settings, self._signs = settings, signs

    def try_bundle(self, output_dir: str, *_: Any, **__: Any) -> bool:
        """Fill `output_dir`. The documented signature has an options object; jsii passes its members by name."""
        bundle(Path(output_dir), self._settings, signs=self._signs)
        return True


def bundle(target: Path, settings: BundleSettings, *, signs: bool = False) -> None:
    """Install the locked dependencies and the code into `target`, from the build cache if no input has changed.

    Args:
        target: folder to fill.
        settings: platform of the bundle.
        signs: the functions sign with a GitHub App's key; only then the bundle has the 15 MB of `cryptography`.

    Raises:
        BundlingFailed: uv failed, for instance offline with an empty cache.
    """
    inputs = [settings.platform, settings.python, str(signs), *file_contents(LAMBDAS, Path(__file__))]
    shutil.copytree(
        get_or_build("bundles", inputs, partial(_make, settings, _requirements(signs=signs))),
        target,
        dirs_exist_ok=True,
    )


def _requirements(*, signs: bool) -> list[Path]:
    names = ["requirements.txt", *(["requirements-github-app.txt"] if signs else [])]
    return [LAMBDAS / name for name in names]


def _make(settings: BundleSettings, requirements: list[Path], target: Path) -> None:
    """Build the bundle; compile bytecode only if an interpreter of the same Python minor version is installed.

    Bytecode is hash-based, since the CDK's archives reset modification times. The import of a handler takes 353 ms with
    bytecode, 852 ms without.
    """
    command = [
        find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:",
        "--link-mode", "copy", "--python-platform", settings.platform, "--python-version", settings.python,
        "--target", str(target), *(part for path in requirements for part in ("-r", str(path))),
    ]  # fmt: skip
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise BundlingFailed(
            f"uv could not build the bundle for {settings.platform}, Python {settings.python}: {process.stderr.strip()}"
        )
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(LAMBDAS / "rollback", target / "rollback", ignore=ignored, dirs_exist_ok=True)
    shutil.rmtree(target / "bin", ignore_errors=True)
    _drop_models(target / "botocore" / "data", target / "boto3" / "data", target / "boto3" / "examples")
    if interpreter := _interpreter(settings.python):
        command = [interpreter, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(target)]
        subprocess.run(command, capture_output=True, check=False)  # a file that does not compile stays source


def _drop_models(models: Path, *unused: Path) -> None:
    """Keep botocore's models of the called services, and the files beside them (endpoints, partitions).

    boto3's own data and examples are for its resources, which our code doesn't use.
    """
    for folder in models.iterdir():
        if folder.is_dir() and folder.name not in AWS_SERVICES:
            shutil.rmtree(folder)
    for examples in models.rglob("examples-1.json*"):
        examples.unlink()
    for folder in unused:
        shutil.rmtree(folder, ignore_errors=True)


def code_asset(settings: BundleSettings, *, signs: bool = False) -> lambda_.Code:
    """Return the asset. Platform, version, content and this module are part of its `command`, and so of its hash."""
    module_source = re.sub(r"\s+", " ", Path(__file__).read_text())
    return lambda_.Code.from_asset(
        str(LAMBDAS),
        exclude=list(_EXCLUDED),
        bundling=BundlingOptions(
            image=DockerImage.from_registry("none"),  # never pulled: the local bundling succeeds or raises
            command=[settings.platform, settings.python, *(["signs"] if signs else []), module_source],
            local=_UvBundling(settings, signs=signs),
        ),
    )


def _interpreter(version: str) -> str | None:
    for candidate in (sys.executable, shutil.which(f"python{version}")):
        if candidate is None:
            continue
        command = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        if subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() == version:
            return candidate
    return None
