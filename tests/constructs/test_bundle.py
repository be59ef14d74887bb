"""The deployed bundles: for Lambda's processor and Python, with what each function imports and nothing else."""

import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from platform import machine

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_lambda as lambda_
from constructs.test_grants import entry_point, graph, reach, steps_of

from rollback_constructs.functions import bundling
from rollback_constructs.functions.bundle_contents import AWS_SERVICES, UnknownPackage, contents_of
from rollback_constructs.functions.bundling import FUNCTIONS, BundleSettings, bundle, code_asset, digest_of
from rollback_constructs.functions.distributions import Distribution
from rollback_constructs.functions.import_graph import imports_of
from rollback_constructs.functions.interpreter import find_interpreter
from rollback_constructs.functions.sources import LAMBDAS, PROJECT

LAMBDA_LIMIT_BYTES = 250 * 1024 * 1024  # unzipped, layers included (Lambda developer guide, "Lambda quotas")
SERVICE_LIMIT_BYTES = 5_000_000  # zipped: an emergency waits for the download
SDK = {"botocore", "jmespath", "urllib3", "dateutil", "six"}
HEAVY = {"boto3", "s3transfer", "httpx", "psycopg", "psycopg_binary", "jinja2", "cryptography", "aws_xray_sdk"}
# Bytes 18 and 19 of an ELF header are `e_machine`.
_MACHINE, _MACHINES = slice(18, 20), {"aarch64": b"\xb7\x00", "x86_64": b"\x3e\x00"}
_UNCHECKED_HASH = 1  # flags in the second word of bytecode (PEP 552)
_OWN = BundleSettings(
    platform=f"{machine()}-manylinux_2_28", python=f"{sys.version_info.major}.{sys.version_info.minor}"
)
Bundles = Callable[[str], Path]


def _bundles(base: Path, settings: BundleSettings) -> Bundles:
    @cache
    def bundle_of(function: str) -> Path:
        folder = base / function
        bundle(folder, settings, function)
        return folder

    return bundle_of


@pytest.fixture(scope="module", params=["aarch64", "x86_64"])
def processor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def deployed(processor: str, tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """Bundles for Lambda's Python and the processor of the parameter."""
    default = BundleSettings()
    settings = BundleSettings(platform=default.platform.replace("aarch64", processor))
    return _bundles(tmp_path_factory.mktemp(processor), settings)


@pytest.fixture(scope="module")
def runnable(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """Bundles that this machine and this Python can run."""
    return _bundles(tmp_path_factory.mktemp("own"), _OWN)


def packages_in(folder: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in folder.iterdir() if not path.name.endswith(".dist-info")}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_library_of_a_bundle_is_for_the_processor_that_runs_it(
    function: str, deployed: Bundles, processor: str
) -> None:
    libraries = [path for path in deployed(function).rglob("*") if path.is_file() and ".so" in path.suffixes]
    assert "pydantic_core" in {path.parent.name for path in libraries}
    assert {path.read_bytes()[_MACHINE] for path in libraries} == {_MACHINES[processor]}
    modules = {path.name.split(".")[1] for path in libraries if "cpython" in path.name}
    assert {module.split("-")[1] for module in modules} == {"313"}


@pytest.mark.parametrize(
    ("function", "heavy"),
    [
        ("decide", {"jinja2", "aws_xray_sdk"}),
        ("service", set()),
        ("report", {"httpx", "jinja2", "aws_xray_sdk"}),
        ("promote", {"httpx", "aws_xray_sdk"}),
        ("database", {"httpx", "psycopg", "psycopg_binary", "aws_xray_sdk"}),
        ("approve", {"aws_xray_sdk"}),
    ],
)
def test_a_bundle_has_the_distributions_that_its_function_imports(
    function: str, heavy: set[str], deployed: Bundles
) -> None:
    packages = packages_in(deployed(function))
    assert packages & HEAVY == heavy
    assert packages >= {*SDK, "rollback", "pydantic", "pydantic_core", "aws_lambda_powertools"}


def test_the_library_that_psycopg_loads_by_a_computed_name_comes_with_its_own_libraries(deployed: Bundles) -> None:
    folders = {path.parent.name for path in deployed("database").rglob("*.so*")}
    assert {"psycopg_binary", "psycopg_binary.libs"} <= folders


def test_the_bundle_of_service_is_within_its_size(deployed: Bundles, processor: str) -> None:
    if processor != "aarch64":
        pytest.skip("the mark is of the default processor")
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(path for path in deployed("service").rglob("*") if path.is_file()):
            file.write(path, path.relative_to(deployed("service")))
    assert len(archive.getvalue()) <= SERVICE_LIMIT_BYTES


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_bundle_is_within_lambdas_limit(function: str, deployed: Bundles) -> None:
    size = sum(path.stat().st_size for path in deployed(function).rglob("*") if path.is_file())
    assert size < LAMBDA_LIMIT_BYTES / 4  # each cold start reads the bundle


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_bundle_has_bytecode_of_lambdas_python_in_place_of_all_source(function: str, deployed: Bundles) -> None:
    files = [path for path in deployed(function).rglob("*") if path.is_file()]
    assert [path for path in files if path.suffix == ".py"] == []
    compiled = [path.read_bytes()[:8] for path in files if path.suffix == ".pyc"]
    interpreter = find_interpreter(BundleSettings().python)
    ask = "import importlib.util, sys; sys.stdout.buffer.write(importlib.util.MAGIC_NUMBER)"
    magic = subprocess.run([interpreter, "-c", ask], capture_output=True, check=True).stdout
    assert {(header[:4], int.from_bytes(header[4:], "little")) for header in compiled} == {(magic, _UNCHECKED_HASH)}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_bundle_has_the_models_of_the_services_that_its_function_calls(function: str, deployed: Bundles) -> None:
    steps = frozenset(steps_of(function))
    bodies = [graph().body(name, steps) for name in reach(function)]
    called = {call.service for body in bodies for call in body.aws}
    modules = {graph().functions[name][0] for name in reach(function)}
    if "rollback.adapters.aws.sts" in modules:
        called.add("sts")  # its endpoint is resolved, and no operation called: others have signed the request
    if (deployed(function) / "aws_xray_sdk").exists():
        called.add("xray")
    assert called == AWS_SERVICES[function], "change AWS_SERVICES in rollback_constructs/functions/bundle_contents.py"
    data = deployed(function) / "botocore" / "data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == AWS_SERVICES[function]
    assert {"endpoints.json", "partitions.json"} <= {path.name for path in data.iterdir()}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_reaches_a_port_whose_driver_its_bundle_lacks(function: str) -> None:
    files = imports_of((entry_point(function).removesuffix(".handle"),), LAMBDAS).files
    drivers = {f"rollback.drivers.{file.stem}" for file in files if file.parent.name == "drivers"}
    reached = {graph().functions[name][0] for name in reach(function)}
    assert {module for module in reached if module.startswith("rollback.drivers.")} <= drivers


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_bundle_runs_alone(function: str, runnable: Bundles) -> None:
    """A separate process imports the function and each of its modules, writes a log line, and makes each client."""
    folder = runnable(function)
    files = [path.relative_to(folder).with_suffix("") for path in (folder / "rollback").rglob("*.pyc")]
    modules = sorted(".".join(file.parts).removesuffix(".__init__") for file in files)
    optional = ("rollback.adapters.github.credentials",)  # imports cryptography, which only an App's bundle has
    program = f"""
import sys
sys.path.insert(0, {str(folder)!r})
import importlib, json
import rollback.handlers
assert callable(getattr(rollback.handlers, {function!r}))
for name in {[module for module in modules if module not in optional]!r}:
    importlib.import_module(name)
if {function!r} != "service":
    from rollback.observability.traces import _provider
    _provider()  # the first sampled invocation imports the X-Ray SDK
from rollback.observability.log import InvocationLog
InvocationLog({function!r}).begin_invocation({{}}, None)
import botocore.session
session = botocore.session.get_session()
for service in {sorted(AWS_SERVICES[function])!r}:
    client = session.create_client(service, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    assert client.meta.endpoint_url.startswith("https://"), service
    list(client.meta.service_model.client_context_parameters)  # an endpoint is resolved by them
    if service == "s3":
        url = client.generate_presigned_url("get_object", Params={{"Bucket": "reports", "Key": "report"}})
        assert url.startswith("https://reports.s3"), url
foreign = [m.__file__ for m in sys.modules.values() if "site-packages" in (getattr(m, "__file__", None) or "")]
assert not foreign, foreign
print(json.dumps(importlib.import_module("rollback.names").event_type.__code__.co_filename))
"""
    process = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False, timeout=180
    )
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout) == "/var/task/rollback/names.py"


def test_the_templates_of_reports_are_beside_their_package(deployed: Bundles) -> None:
    templates = {path.name for path in (PROJECT / "lambdas/rollback/rendering/templates").iterdir()}
    assert templates
    assert {path.name for path in (deployed("report") / "rollback/rendering/templates").iterdir()} == templates
    assert not (deployed("service") / "rollback/rendering").exists()


def test_models_lose_the_texts_of_their_documentation_and_nothing_else(tmp_path: Path, deployed: Bundles) -> None:
    from botocore.loaders import Loader  # noqa: PLC0415 - the SDK of the tests

    model = Loader().load_service_model("ecs", "service-2")
    (stripped,) = (deployed("service") / "botocore/data/ecs").glob("*/service-2.json")
    ours = json.loads(stripped.read_text())
    assert ours["operations"].keys() == model["operations"].keys()
    for name, shape in model["shapes"].items():
        assert ours["shapes"][name].get("members", {}).keys() == shape.get("members", {}).keys()
    assert set(re.findall(r'"documentation":"[^"]?', stripped.read_text())) == {'"documentation":"'}


def test_two_builds_in_two_folders_write_the_same_bytes(tmp_path: Path) -> None:
    requirements = [PROJECT / "lambdas/requirements.txt"]
    digests = []
    for name in ("one", "another/place"):
        installed, code, built = (tmp_path / name / part for part in ("installed", "code", "built"))
        for folder in (installed, code, built):
            folder.mkdir(parents=True)
        bundling.install(_OWN, requirements, installed)
        bundling.copy_code(_OWN, code)
        bundling.build_bundles(installed, code, built)
        digests.append(json.loads((built / "digests.json").read_text()))
        assert digest_of(built / "service") == digests[-1]["service"]
    assert digests[0] == digests[1]
    assert len(set(digests[0].values())) == len(FUNCTIONS)


def test_bytecode_is_part_of_an_assets_hash(tmp_path: Path, runnable: Bundles) -> None:
    bundle(tmp_path, _OWN.model_copy(update={"bytecode": "none"}), "approve")
    assert list(tmp_path.rglob("*.pyc")) == []
    assert (tmp_path / "rollback/functions/approve.py").is_file()
    assert digest_of(tmp_path) != digest_of(runnable("approve"))


def test_an_asset_is_named_by_the_digest_of_its_bytes(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path))
    stack = Stack(app, "Stack")
    code = code_asset(stack, _OWN, "service")
    lambda_.Function(stack, "Function", code=code, handler="rollback.handlers.service", runtime=_OWN.runtime)
    app.synth()
    template = json.loads((tmp_path / "Stack.template.json").read_text())
    (key,) = (
        resource["Properties"]["Code"]["S3Key"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    )
    asset = tmp_path / f"asset.{key.removesuffix('.zip')}"
    assert hashlib.sha256(digest_of(asset).encode()).hexdigest() == key.removesuffix(".zip")  # the CDK hashes the hash


def test_a_source_that_does_not_compile_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def\n")
    with pytest.raises(bundling.BundlingFailed, match=r"broken\.py"):
        bundling.finish(_OWN, tmp_path, optimization=0)


def test_an_import_that_no_distribution_provides_fails_the_build(tmp_path: Path) -> None:
    functions = tmp_path / "rollback" / "functions"
    functions.mkdir(parents=True)
    for name in ("rollback/__init__.py", "rollback/handlers.py", "rollback/functions/__init__.py"):
        (tmp_path / name).touch()
    (functions / "service.py").write_text("def later():\n    import numpy.linalg\n")
    distributions: dict[str, Distribution] = {}
    with pytest.raises(UnknownPackage, match=r"service imports numpy, which lambdas/requirements.txt does not lock"):
        contents_of("service", tmp_path, distributions, platform_packages=frozenset(sys.stdlib_module_names))


def test_only_the_bundle_of_an_app_has_the_library_that_signs(tmp_path: Path) -> None:
    bundle(tmp_path / "report", BundleSettings(), "report", signs=True)
    bundle(tmp_path / "service", BundleSettings(), "service", signs=True)
    (library,) = (tmp_path / "report" / "cryptography").rglob("_rust*.so")
    assert library.read_bytes()[_MACHINE] == _MACHINES["aarch64"]
    assert not (tmp_path / "service" / "cryptography").exists()
    size = sum(path.stat().st_size for path in (tmp_path / "report").rglob("*") if path.is_file())
    assert size < LAMBDA_LIMIT_BYTES / 4


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
