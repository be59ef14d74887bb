"""Print a version's bill of materials as CycloneDX: the wheel, and each package that the command is installed with.

Run `python bill_of_materials.py v1.2.3` in the repository's folder. Packages, versions and hashes are those of
`cli/requirements.txt`, which the action installs with `--require-hashes`. Source of the format: CycloneDX 1.6, JSON.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PACKAGE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill_of_materials(tag: str, folder: Path) -> dict[str, Any]:
    """Return the document; each package has the hashes of the files that may be installed."""
    name = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"]
    version = tag.removeprefix("v")
    root = {"type": "application", "name": name, "version": version, "bom-ref": _url(name, version)}
    packages = list(_packages((folder / "cli" / "requirements.txt").read_text()))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**root, "purl": root["bom-ref"]}},
        "components": packages,
        "dependencies": [{"ref": root["bom-ref"], "dependsOn": [package["bom-ref"] for package in packages]}],
    }


def _packages(requirements: str) -> Iterator[dict[str, Any]]:
    """Read one component of each requirement, which goes on over lines that end with a backslash."""
    for requirement in re.split(r"(?<!\\)\n", requirements):
        match = _PACKAGE.match(requirement)
        if match is None:
            continue
        url = _url(match["name"], match["version"])
        hashes = [{"alg": "SHA-256", "content": digest} for digest in _HASH.findall(requirement)]
        yield {
            "type": "library", "name": match["name"], "version": match["version"], "bom-ref": url, "purl": url,
            "hashes": hashes,
        }  # fmt: skip


def _url(name: str, version: str) -> str:
    return f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"


def main() -> int:
    """Print the document."""
    json.dump(bill_of_materials(sys.argv[1], Path.cwd()), sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
