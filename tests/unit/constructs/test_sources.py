"""The sources of the functions and the build cache are found in the repository and in an installed wheel alike."""

from pathlib import Path

import pytest

from rollback_constructs.functions import sources
from rollback_constructs.functions.build_cache import CacheNotWritable, file_contents, get_or_build
from rollback_constructs.functions.sources import LAMBDAS, PROJECT, cache_folder, source_name


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "IS_INSTALLED", True)


def test_the_repository_builds_from_its_own_lambdas_into_its_own_build_folder() -> None:
    assert (LAMBDAS, cache_folder()) == (PROJECT / "lambdas", PROJECT / "build")
    assert (LAMBDAS / "rollback" / "handlers.py").is_file()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("not_set", [None, "", "relative/folder"])
def test_an_installed_wheel_builds_into_the_cache_folder_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, not_set: str | None
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache" / "macro-ai-rollback"

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    if not_set is None:
        monkeypatch.delenv("XDG_CACHE_HOME")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", not_set)
    assert cache_folder() == tmp_path / "home" / ".cache" / "macro-ai-rollback"


def test_a_source_has_one_name_wherever_it_is_installed() -> None:
    assert source_name(LAMBDAS / "rollback" / "handlers.py") == "lambdas/rollback/handlers.py"
    assert source_name(PROJECT / "app.py") == "app.py"
    assert next(iter(file_contents(PROJECT / "app.py"))) == "app.py"


def test_a_cache_folder_that_can_not_be_made_is_an_error_that_names_the_folder_and_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(CacheNotWritable, match=f"{tmp_path}/file/things can't be made .*; set XDG_CACHE_HOME"):
        get_or_build("things", ["a"], lambda folder: None, tmp_path / "file")
