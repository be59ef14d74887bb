"""Flyway's folder: `V1_2__name.sql`, `U1_2__name.sql` (undo), `R__name.sql` (repeatable), `B…` (baseline), and Java.

Source: documentation.red-gate.com/flyway, "Migrations", "Schema history table". The checksum is a CRC32 of the lines
without their ends, a byte-order mark left out, as a signed number of 32 bits.
"""

import re
import zlib
from pathlib import Path

from rollback.domain.database.migration_tools import MigrationTool
from rollback.domain.database.release_schema import ShippedMigration
from rollback.errors import InvalidRequest
from rollback_cli.migrations.folder import SecondReader, classify_text, from_code_file, from_sql_file, read

FILE = re.compile(r"(?:(?P<kind>[VUB])(?P<version>\d+(?:[._]\d+)*)|(?P<repeats>R))__.+\.(?P<type>sql|java)")
_LAST = float("inf")


def read_flyway(folder: Path, second: SecondReader) -> tuple[ShippedMigration, ...]:
    """All versioned migrations in the order of their versions, then the repeatable ones by name.

    Raises:
        InvalidRequest: a file can't be read.
    """
    found = [(path, match) for path in folder.rglob("*") if (match := FILE.fullmatch(path.name)) is not None]
    undo = {_version(match): path for path, match in found if match["kind"] == "U" and match["type"] == "sql"}
    applied = sorted(((_version(match), path.name, path) for path, match in found if match["kind"] != "U"))
    names = [name for _, name, _ in applied]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidRequest(f"{', '.join(twice)} is there in several folders: name the one of this database")
    return tuple(
        _read_file(path, place, undo.get(version), second) for place, (version, _, path) in enumerate(applied, start=1)
    )


def checksum(path: Path) -> str:
    """As the column `checksum` has it."""
    text = read(path)[1].removeprefix("\ufeff")
    crc = 0
    for line in re.split("\r\n|\r|\n", text):
        crc = zlib.crc32(line.encode(), crc)
    return str(crc - (1 << 32) if crc >= 1 << 31 else crc)


def _version(match: re.Match[str]) -> tuple[float, ...]:
    if match["repeats"]:
        return (_LAST,)
    numbers = [float(part) for part in re.split("[._]", match["version"])]
    while numbers[1:] and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _read_file(path: Path, place: int, undo: Path | None, second: SecondReader) -> ShippedMigration:
    if path.suffix == ".java":
        return from_code_file(MigrationTool.FLYWAY, path.name, path, place, None, second)
    shipped = from_sql_file(MigrationTool.FLYWAY, path.name, path, place, second, checksum(path))
    if undo is None:
        return shipped
    return shipped.model_copy(update={"has_down": True, "down_impact": classify_text(read(undo)[1], second)})
