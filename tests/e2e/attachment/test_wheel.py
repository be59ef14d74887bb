"""The wheel in the hands of an adopter: installed into a fresh environment, used from an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from e2e.processes import ROOT
from uv import find_uv_bin

pytestmark = pytest.mark.e2e

EXAMPLE = ROOT / "examples" / "guard"


def run(command: list[str], folder: Path, **variables: str) -> str:
    """Run a program without this repository in its environment, and return what it prints."""
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "CDK_", "PYTHON", "VIRTUAL_ENV"))}
    process = subprocess.run(
        command, cwd=folder, env={**inherited, **variables}, check=False, timeout=600,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.returncode == 0, process.stdout
    return process.stdout


class Installed:
    """The wheel, installed with the extra `infrastructure` into an environment of its own."""

    def __init__(self, folder: Path) -> None:
        uv = find_uv_bin()
        run([uv, "build", "--quiet", "--wheel", "--out-dir", str(folder / "dist"), str(ROOT)], folder)
        (self.wheel,) = (folder / "dist").glob("*.whl")
        self._venv = folder / "venv"
        run([uv, "venv", "--quiet", "--python", sys.executable, str(self._venv)], folder)
        # The locked versions are in uv's cache already.
        install = [uv, "pip", "install", "--quiet", "--python", str(self.program("python"))]
        run([*install, "--constraint", str(ROOT / "requirements.lock"), f"{self.wheel}[infrastructure]"], folder)
        self._uv_cache = run([uv, "cache", "dir"], folder).strip()
        self.cache = folder / "cache"

    def program(self, name: str) -> Path:
        return self._venv / "bin" / name

    def site_packages(self) -> Path:
        (found,) = self._venv.glob("lib/python3*/site-packages")
        return found

    def synthesise(self, app: Path, out: Path) -> dict[str, Any]:
        """Synthesise the app's stack `Shop`, with a home of its own for caches; return its template."""
        variables = {
            "PATH": f"{self._venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(self.cache),
            "UV_CACHE_DIR": self._uv_cache,
            "CDK_OUTDIR": str(out),
        }
        run([str(self.program("python")), "app.py"], app, **variables)
        template: dict[str, Any] = json.loads((out / "Shop.template.json").read_text())
        return template


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("adopter"))


def test_the_wheel_carries_the_functions_sources_and_no_package_that_needs_the_repository(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = set(wheel.namelist())
        tops = {name.partition("/")[0] for name in names}
        carried = "rollback_constructs/functions/lambdas/"
        sources = {
            file.relative_to(ROOT / "lambdas").as_posix(): file.read_bytes()
            for file in (ROOT / "lambdas").rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }
        assert {name: wheel.read(f"{carried}{name}") for name in sources} == sources
        assert {name.removeprefix(carried) for name in names if name.startswith(carried)} == set(sources)
    assert {top for top in tops if "." not in top} == {"rollback", "rollback_cli", "rollback_constructs", "local_cloud"}


def test_the_example_synthesises_from_an_empty_folder_with_its_functions(installed: Installed, tmp_path: Path) -> None:
    app, out = tmp_path / "app", tmp_path / "out"
    app.mkdir()
    shutil.copy(EXAMPLE / "app.py", app)

    template = installed.synthesise(app, out)

    assert {"RollbackSettings", "RollbackWorkflowArn"} <= set(template["Outputs"])
    functions = [r for r in template["Resources"].values() if r["Type"] == "AWS::Lambda::Function"]
    keys = {function["Properties"]["Code"]["S3Key"].partition(".")[0] for function in functions}
    for key in keys:
        code = out / f"asset.{key}"
        assert any((code / "rollback" / f"handlers.{suffix}").is_file() for suffix in ("pyc", "py"))  # or source only
        assert (code / "pydantic").is_dir()
    assert [folder.name for folder in installed.cache.iterdir()] == ["macro-ai-rollback"]
    assert not (installed.site_packages().parent / "build").exists()
    assert sorted(path.name for path in app.iterdir()) == ["app.py"]


def test_the_installed_command_says_its_version(installed: Installed, tmp_path: Path) -> None:
    assert run([str(installed.program("rollback")), "--version"], tmp_path).startswith("rollback 0.1.0")
