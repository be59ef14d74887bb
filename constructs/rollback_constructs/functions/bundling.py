"""Code assets of the functions, built by uv without Docker for the platform that runs them.

uv installs the locked distributions once. Each function gets the part that it imports (`bundle_contents`), as hard
links. An asset's hash is the digest of its bytes, so two machines that build the same bytes deploy the same asset.
"""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

from aws_cdk import AssetHashType, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from pydantic import BaseModel, ConfigDict, Field
from uv import find_uv_bin

from rollback_constructs.functions import bundle_contents, distributions, import_graph, interpreter
from rollback_constructs.functions.build_cache import file_contents, get_or_build
from rollback_constructs.functions.bundle_contents import AWS_SERVICES, contents_of
from rollback_constructs.functions.distributions import read_distributions
from rollback_constructs.functions.interpreter import find_interpreter
from rollback_constructs.functions.sources import LAMBDAS

FUNCTIONS = tuple(AWS_SERVICES)
_EXCLUDED = ("**/__pycache__", "**/*.pyc", "**/.*")
_PLACE_IN_LAMBDA = "/var/task"  # a traceback names it; the folder of the build would differ from machine to machine
_MODIFIED_AT = 315_576_000  # 1980-01-01 12:00 UTC: no earlier than a zip file's first date, in any time zone
_SOURCES = tuple(Path(str(module.__file__)) for module in (bundle_contents, distributions, import_graph, interpreter))


class BundleSettings(BaseModel):
    """The platform of the bundles: its name for `uv --python-platform`, and a Python minor version.

    manylinux2014 is too old for psycopg on aarch64, whose wheels need glibc 2.27. Lambda has glibc 2.34 from Python
    3.12 on (Amazon Linux 2023), and 2.26 before (Amazon Linux 2). A wheel for a newer glibc installs, and fails when
    Python imports it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: str = Field(default="aarch64-manylinux_2_28", pattern=r"^(aarch64|x86_64)-manylinux(2014|_2_\d+)$")
    python: str = Field(default="3.13", pattern=r"^3\.1[0-9]$")
    bytecode: Literal["compiled", "none"] = Field(
        default="compiled", description="`none`: each cold start compiles the source, and imports 2.6 times as long"
    )

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
    """A bundle could not be built; the message has uv's or the compiler's output."""


def code_asset(scope: Construct, settings: BundleSettings, function: str, *, signs: bool = False) -> lambda_.Code:
    """Return the asset of a function. A stack that the CDK does not bundle gets the sources, unbuilt.

    Args:
        scope: a construct of the stack.
        settings: platform of the bundle.
        function: the function's name, such as `service`.
        signs: the functions sign with a GitHub App's key; only then `report` has the 15 MB of `cryptography`.

    Raises:
        BundlingFailed: uv failed, for instance offline with an empty cache, or a file does not compile.
        NoInterpreter: no interpreter can compile the bytecode.
    """
    if not Stack.of(scope).bundling_required:
        return lambda_.Code.from_asset(str(LAMBDAS), exclude=list(_EXCLUDED))
    bundles = _bundles(settings, signs=signs)
    digests: dict[str, str] = json.loads((bundles / "digests.json").read_text())
    return lambda_.Code.from_asset(
        str(bundles / function), asset_hash=digests[function], asset_hash_type=AssetHashType.CUSTOM
    )


def bundle(target: Path, settings: BundleSettings, function: str, *, signs: bool = False) -> None:
    """Copy a function's bundle into `target`. Arguments and errors as `code_asset`.

    Raises:
        BundlingFailed: uv failed, or a file does not compile.
        NoInterpreter: no interpreter can compile the bytecode.
    """
    shutil.copytree(_bundles(settings, signs=signs) / function, target, dirs_exist_ok=True)


def digest_of(folder: Path) -> str:
    """Return the SHA-256 of all files of a folder, by path: names and bytes, no times and no modes."""
    digest = hashlib.sha256()
    for name, file in sorted((path.relative_to(folder).as_posix(), path) for path in _files(folder)):
        data = file.read_bytes()
        digest.update(f"{len(name)}:{name}{len(data)}:".encode() + data)
    return digest.hexdigest()


def build_bundles(installed: Path, code: Path, target: Path) -> None:
    """Write the bundles of all functions, one folder each, and `digests.json`.

    Args:
        installed: folder of the distributions.
        code: folder of the package `rollback`, as `copy_code` leaves it.
        target: empty folder.

    Raises:
        UnknownPackage: a function imports a package that no distribution provides.
    """
    found = read_distributions(installed)
    standard = frozenset(sys.stdlib_module_names)
    digests = {}
    for function in FUNCTIONS:
        contents = contents_of(function, LAMBDAS, found, platform_packages=standard)
        folder = target / function
        for source in contents.sources:
            compiled = code / source.relative_to(LAMBDAS).with_suffix(".pyc")
            file = compiled if source.suffix == ".py" and compiled.is_file() else code / source.relative_to(LAMBDAS)
            _link(file, folder / file.relative_to(code))
        for distribution in contents.distributions:
            for name in distribution.files:
                if contents.carries(name.as_posix()):
                    _link(installed / name, folder / name)
        digests[function] = digest_of(folder)
    (target / "digests.json").write_text(json.dumps(digests))


def strip_documentation(models: Path) -> None:
    """Empty the documentation in botocore's models, four fifths of their bytes, which each new client would parse.

    botocore uses the texts for docstrings alone. Their keys stay: it reads that of an S3 client's parameters by index
    (`botocore/model.py`, `client_context_parameters`). It takes plain JSON as well as compressed JSON.

    Args:
        models: the folder `botocore/data`.
    """
    for file in sorted(models.rglob("*.json.gz")):
        model = json.loads(gzip.decompress(file.read_bytes()), object_hook=_without_documentation)
        file.with_suffix("").write_text(json.dumps(model, separators=(",", ":")))
        file.unlink()


def _without_documentation(value: dict[str, Any]) -> dict[str, Any]:
    """Empty a text; a member of a shape may have the name `documentation`, and has an object."""
    return {key: "" if key == "documentation" and isinstance(part, str) else part for key, part in value.items()}


def install(settings: BundleSettings, requirements: list[Path], target: Path) -> None:
    """Install the locked distributions, with bytecode.

    Raises:
        BundlingFailed: uv failed, or a file does not compile.
        NoInterpreter: no interpreter can compile the bytecode.
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
    shutil.rmtree(target / "bin", ignore_errors=True)
    called = {service for services in AWS_SERVICES.values() for service in services}
    for model in (target / "botocore" / "data").iterdir():
        if model.is_dir() and model.name not in called:
            shutil.rmtree(model)
    for metadata in target.glob("*.dist-info/METADATA"):  # psycopg reads its version there; the rest is a README
        metadata.write_text(metadata.read_text().partition("\n\n")[0] + "\n")
    strip_documentation(target / "botocore" / "data")
    finish(settings, target, optimization=0)


def copy_code(settings: BundleSettings, target: Path) -> None:
    """Copy the package `rollback`, with bytecode that has no docstrings.

    Raises:
        BundlingFailed: a file does not compile.
        NoInterpreter: no interpreter can compile the bytecode.
    """
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    shutil.copytree(LAMBDAS / "rollback", target / "rollback", ignore=ignored)
    finish(settings, target, optimization=2)


def finish(settings: BundleSettings, folder: Path, *, optimization: int) -> None:
    """Put bytecode in the place of source, if the settings want it, and give all files the same mode and time.

    Another minor version of Python refuses to import bytecode that has no source beside it (Python reference, "The
    import system"), where it would compile the source without a word. A traceback names files and lines, and quotes
    none. Bytecode is unchecked, since archives reset modification times. Its code names the place of the file in
    Lambda. One process without random hashes compiles the files in the order of their names, so that two builds write
    the same bytes.

    Args:
        settings: version of Python, and whether there is bytecode.
        folder: the folder.
        optimization: 2 leaves out assertions and docstrings, 0 nothing (Python's option `-O`).

    Raises:
        BundlingFailed: a file does not compile.
        NoInterpreter: no interpreter can compile the bytecode.
    """
    if settings.bytecode == "compiled":
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command = [
            find_interpreter(settings.python), "-S", "-m", "compileall", "-q", "-b", "-j", "1", "-o", str(optimization),
            "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", _PLACE_IN_LAMBDA, str(folder),
        ]  # fmt: skip
        process = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**environment, "PYTHONHASHSEED": "0"}
        )
        sources = sorted(folder.rglob("*.py"))
        without = [source for source in sources if not source.with_suffix(".pyc").is_file()]
        if process.returncode != 0 or without:
            raise BundlingFailed(
                f"Python {settings.python} could not compile the bundle: "
                f"{(process.stdout + process.stderr).strip() or f'{without[0]} has no bytecode'}"
            )
        for source in sources:
            source.unlink()
    for file in _files(folder):
        file.chmod(0o644)
        os.utime(file, (_MODIFIED_AT, _MODIFIED_AT))


@cache
def _bundles(settings: BundleSettings, *, signs: bool) -> Path:
    """Return the folder of all bundles, from the build cache if no input has changed."""
    platform = [settings.platform, settings.python, _bytecode_identity(settings), *file_contents(Path(__file__))]
    names = ["requirements.txt", *(["requirements-github-app.txt"] if signs else [])]
    requirements = [LAMBDAS / name for name in names]
    sources = list(file_contents(*_SOURCES))
    installed = get_or_build(
        "distributions", [*platform, *sources, *file_contents(*requirements)], partial(install, settings, requirements)
    )
    code = get_or_build("function-code", [*platform, *file_contents(LAMBDAS)], partial(copy_code, settings))
    return get_or_build(
        "bundles", [installed.name, code.name, *platform, *sources], partial(build_bundles, installed, code)
    )


def _bytecode_identity(settings: BundleSettings) -> str:
    """Name the exact interpreter that compiles the bundles; another one may write other bytes."""
    if settings.bytecode == "none":
        return "no bytecode"
    command = [find_interpreter(settings.python), "-I", "-S", "-c", "import sys; print(sys.version)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
