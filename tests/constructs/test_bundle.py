"""The bundle that is deployed: for Lambda's processor and Python, not for this machine's."""

from pathlib import Path

import pytest

from rollback_constructs.bundling import BundleSettings, bundle

LAMBDA_LIMIT_BYTES = 250 * 1024 * 1024  # unzipped, layers included (Lambda developer guide, "Lambda quotas")
OF_THE_RUNTIME = ("boto3", "botocore", "jmespath", "urllib3", "dateutil", "six.py")
_MACHINE = slice(18, 20)  # `e_machine` in an ELF header
_MACHINES = {"aarch64": b"\xb7\x00", "x86_64": b"\x3e\x00"}


@pytest.fixture(scope="module", params=["aarch64", "x86_64"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Processor and folder: as deployed by default, and as for the other one."""
    default = BundleSettings()
    platform = default.platform.replace("aarch64", request.param)
    target = tmp_path_factory.mktemp(f"bundle-{request.param}")
    bundle(target, BundleSettings(platform=platform, python=default.python))
    return request.param, target


def test_every_library_in_it_is_for_the_processor_that_runs_it(made: tuple[str, Path]) -> None:
    processor, folder = made
    libraries = [path for path in folder.rglob("*") if path.is_file() and ".so" in path.suffixes]
    assert {"pydantic_core", "psycopg_binary", "psycopg_binary.libs"} <= {path.parent.name for path in libraries}
    assert {path.read_bytes()[_MACHINE] for path in libraries} == {_MACHINES[processor]}
    modules = {path.name.split(".")[1] for path in libraries if "cpython" in path.name}
    assert {module.split("-")[1] for module in modules} == {"313"}


def test_it_has_all_that_functions_import_but_for_what_the_runtime_has(made: tuple[str, Path]) -> None:
    there = {path.name for path in made[1].iterdir()}
    assert {"rollback", "pydantic", "httpx", "aws_lambda_powertools", "psycopg", "psycopg_binary"} <= there
    assert not there & set(OF_THE_RUNTIME)


def test_lambda_takes_it(made: tuple[str, Path]) -> None:
    size = sum(path.stat().st_size for path in made[1].rglob("*") if path.is_file())
    assert size < LAMBDA_LIMIT_BYTES / 4  # each start of a function reads of it
