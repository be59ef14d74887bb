"""The deployed bundle: for Lambda's processor and Python, not for this machine's, with the locked SDK."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from static_analysis.call_graph import CallGraph

from rollback_constructs.functions.bundling import AWS_SERVICES, BundleSettings, bundle
from rollback_constructs.functions.sources import PROJECT

LAMBDA_LIMIT_BYTES = 250 * 1024 * 1024  # unzipped, layers included (Lambda developer guide, "Lambda quotas")
SDK = {"boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six.py"}
_MACHINE = slice(18, 20)  # `e_machine` in an ELF header
_MACHINES = {"aarch64": b"\xb7\x00", "x86_64": b"\x3e\x00"}


@pytest.fixture(scope="module", params=["aarch64", "x86_64"])
def built_bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Build the bundle for the processor of the parameter; return processor and folder."""
    default = BundleSettings()
    platform = default.platform.replace("aarch64", request.param)
    target = tmp_path_factory.mktemp(f"bundle-{request.param}")
    bundle(target, BundleSettings(platform=platform, python=default.python))
    return request.param, target


def test_every_library_of_the_bundle_is_for_the_processor_that_runs_it(built_bundle: tuple[str, Path]) -> None:
    processor, folder = built_bundle
    libraries = [path for path in folder.rglob("*") if path.is_file() and ".so" in path.suffixes]
    assert {"pydantic_core", "psycopg_binary", "psycopg_binary.libs"} <= {path.parent.name for path in libraries}
    assert {path.read_bytes()[_MACHINE] for path in libraries} == {_MACHINES[processor]}
    modules = {path.name.split(".")[1] for path in libraries if "cpython" in path.name}
    assert {module.split("-")[1] for module in modules} == {"313"}


def test_the_bundle_has_all_that_the_functions_import_with_the_sdk(built_bundle: tuple[str, Path]) -> None:
    names = {path.name for path in built_bundle[1].iterdir()}
    assert {"rollback", "pydantic", "httpx", "aws_lambda_powertools", "psycopg", "psycopg_binary"} <= names
    assert names >= SDK


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9-]+)==(\S+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    ("name", "packages"),
    [("requirements.txt", {"boto3", "botocore"}), ("requirements-github-app.txt", {"cryptography", "cffi"})],
)
def test_the_functions_and_the_command_run_the_same_versions(name: str, packages: set[str]) -> None:
    """An SDK of another version knows other members of a response, so a definition would get another fingerprint."""
    bundled, locked = pins(PROJECT / "lambdas" / name), pins(PROJECT / "requirements.lock")
    assert packages <= set(bundled)
    assert {name: locked.get(name) for name in bundled} == bundled


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-github-app.txt"])
def test_the_requirements_of_the_bundle_are_locked_by_hash_and_name_no_address(name: str) -> None:
    text = (PROJECT / "lambdas" / name).read_text()
    assert len(re.findall(r"^\S+==", text, re.MULTILINE)) == len(
        re.findall(r"^\S+==.*\n    --hash=sha256:", text, re.MULTILINE)
    )
    assert "://" not in text


def test_the_bundle_has_the_models_of_the_called_services_and_of_no_other(built_bundle: tuple[str, Path]) -> None:
    graph = CallGraph()
    steps = frozenset(graph.steps)
    called = {call.service for name in graph.functions for call in graph.body(name, steps).aws}
    called.add("sts")  # its endpoint is resolved, and no operation called: others have signed the request
    assert called == AWS_SERVICES, "change AWS_SERVICES in rollback_constructs/functions/bundling.py"
    models = {path.name for path in (built_bundle[1] / "botocore" / "data").iterdir() if path.is_dir()}
    assert models == AWS_SERVICES
    assert {"endpoints.json", "partitions.json"} <= {
        path.name.removesuffix(".gz") for path in (built_bundle[1] / "botocore" / "data").iterdir()
    }


def test_the_sdk_of_the_bundle_creates_every_client_of_the_functions(built_bundle: tuple[str, Path]) -> None:
    """A separate process imports boto3 from the bundle; all libraries of boto3 are written in Python."""
    code = (
        "import boto3, botocore, sys\n"
        f"assert all(m.__file__.startswith({str(built_bundle[1])!r}) for m in (boto3, botocore)), boto3.__file__\n"
        "session = boto3.Session(region_name='eu-west-1', aws_access_key_id='a', aws_secret_access_key='b')\n"
        f"for service in {sorted(AWS_SERVICES)!r}:\n"
        "    client = session.client(service)\n"
        "    assert client.meta.endpoint_url.startswith('https://'), service\n"
    )
    process = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(built_bundle[1])!r})\n{code}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr


def test_the_bundle_is_within_lambdas_limit(built_bundle: tuple[str, Path]) -> None:
    size = sum(path.stat().st_size for path in built_bundle[1].rglob("*") if path.is_file())
    assert size < LAMBDA_LIMIT_BYTES / 4  # each cold start reads the bundle


def test_only_the_bundle_of_an_app_has_the_library_that_signs(built_bundle: tuple[str, Path], tmp_path: Path) -> None:
    processor, folder = built_bundle
    assert not (folder / "cryptography").exists()
    default = BundleSettings()
    platform = default.platform.replace("aarch64", processor)
    bundle(tmp_path, BundleSettings(platform=platform, python=default.python), signs=True)
    (library,) = (tmp_path / "cryptography").rglob("_rust*.so")
    assert library.read_bytes()[_MACHINE] == _MACHINES[processor]
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert size < LAMBDA_LIMIT_BYTES / 4
