"""Version of this product: its number, and a digest of the run-time code that stands beside this file.

The stack has it as an output, and `rollback doctor` compares the output with its own. The number alone is not enough:
between two releases, a team deploys commits of one number.
"""

import hashlib
from functools import cache
from pathlib import Path

NUMBER = "0.1.0"  # as in pyproject.toml, which no function has
_SHOWN_CHARACTERS = 8
_IGNORED = "__pycache__"


@cache
def product_version() -> str:
    """Return `<number>+<digest>`, with the digest of this package."""
    return f"{NUMBER}+{digest_of(Path(__file__).parent)}"


def digest_of(root: Path) -> str:
    """Return SHA-256 of the names and contents of a folder's files, without bytecode; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*"), key=lambda file: file.relative_to(root).as_posix()):
        if path.is_file() and _IGNORED not in path.parts and path.suffix != ".pyc":
            for part in (path.relative_to(root).as_posix().encode(), path.read_bytes()):
                digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def shortened(version: str) -> str:
    """Return a version for a reader: with the first characters of its digest only."""
    number, _, digest = version.partition("+")
    return f"{number} ({digest[:_SHOWN_CHARACTERS]})" if digest else number
