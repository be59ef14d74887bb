"""Distributions in a folder that uv has filled: the files of each, what it provides, and what it needs.

Source: Python packaging user guide, "Recording installed projects" and "Core metadata specifications".
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

# Facts of the installation, which differ from machine to machine, and which no import reads.
_INSTALLATION_FILES = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"})
# Packages that a package imports by a computed name, which its requirements have under an extra.
_DRIVERS = {"psycopg": ("psycopg-binary",)}


@dataclass(frozen=True)
class Distribution:
    """One installed distribution.

    Attributes:
        name: normalised name.
        files: paths below the folder.
        requirements: normalised names that it needs without an extra, on any platform.
    """

    name: str
    files: tuple[PurePosixPath, ...]
    requirements: frozenset[str]

    @property
    def packages(self) -> frozenset[str]:
        """Top-level names that it provides for imports."""
        tops = (file.parts[0] for file in self.files if file.suffix in {".py", ".pyc", ".so"})
        return frozenset(top.partition(".")[0] for top in tops if not top.endswith(".dist-info"))


def read_distributions(folder: Path) -> dict[str, Distribution]:
    """Read the distributions of a folder, by name."""
    distributions = (_read(info, folder) for info in sorted(folder.glob("*.dist-info")))
    return {distribution.name: distribution for distribution in distributions}


def needed_by(packages: Iterable[str], distributions: dict[str, Distribution]) -> list[Distribution]:
    """Return the distributions that provide packages, and all that those need, by name.

    A requirement that is not installed belongs to another platform or Python: the lock decides.
    """
    providers = {package: found.name for found in distributions.values() for package in found.packages}
    names: set[str] = set()
    pending = [providers[package] for package in packages if package in providers]
    while pending:
        name = pending.pop()
        if name in names or name not in distributions:
            continue
        names.add(name)
        pending += [*distributions[name].requirements, *_DRIVERS.get(name, ())]
    return [distributions[name] for name in sorted(names)]


def _read(info: Path, folder: Path) -> Distribution:
    metadata = HeaderParser().parsestr((info / "METADATA").read_text())
    with (info / "RECORD").open(newline="") as record:
        listed = [PurePosixPath(row[0]) for row in csv.reader(record) if row]
    files = tuple(file for name in listed for file in _files_of(name) if (folder / file).is_file())
    return Distribution(_normalised(metadata["Name"]), files, frozenset(_requirements(metadata)))


def _files_of(listed: PurePosixPath) -> Iterator[PurePosixPath]:
    """Yield a listed file, and what the build may have put in its place: bytecode, or a model as plain JSON."""
    is_of_installation = listed.parts[0].endswith(".dist-info") and listed.name in _INSTALLATION_FILES
    if is_of_installation or listed.suffix == ".pyc" or ".." in listed.parts:
        return
    yield listed
    if listed.suffix == ".py":
        yield listed.with_suffix(".pyc")
    if listed.suffix == ".gz":
        yield listed.with_suffix("")


def _requirements(metadata: Message) -> Iterator[str]:
    for requirement in metadata.get_all("Requires-Dist") or ():
        specification, _, marker = requirement.partition(";")
        match = re.match(r"[A-Za-z0-9._-]+", specification.strip())
        if match is not None and "extra" not in marker:
            yield _normalised(match.group())


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
