"""The folder of Flyway: `V1_2__name.sql`, `U1_2__name.sql` (undo), `R__name.sql` (repeatable), `B…` (baseline), Java.

Source: documentation.red-gate.com/flyway, "Migrations", "Schema history table".
"""

import re
import zlib
from pathlib import Path

from rollback.domain.database.release_schema import ShippedMigration
from rollback.errors import InvalidRequest
from rollback.resources.database.migration_journal import MigrationTool
from rollback_cli.migrations.tools.migration_file import (
    SecondOpinion,
    classify_text,
    from_code_file,
    from_sql_file,
    read_file,
)

_FILE = re.compile(r"(?:(?P<kind>[VUB])(?P<version>\d+(?:[._]\d+)*)|(?P<repeats>R))__.+\.(?P<type>sql|java)")
_AFTER_ALL_VERSIONS = (float("inf"),)


def is_flyway(folder: Path) -> bool:
    """Whether a file of the folder has a name by Flyway's rules."""
    return any(_FILE.fullmatch(path.name) for path in folder.iterdir())


def read_flyway(folder: Path, second_opinion: SecondOpinion) -> tuple[ShippedMigration, ...]:
    """Read all versioned migrations in the order of their versions, then the repeatable ones by name.

    Raises:
        InvalidRequest: a file can't be read, or two folders have files of the same name.
    """
    files = [(path, match) for path in folder.rglob("*") if (match := _FILE.fullmatch(path.name)) is not None]
    undo = {_version(match): path for path, match in files if match["kind"] == "U" and match["type"] == "sql"}
    applied = sorted(((_version(match), path.name, path) for path, match in files if match["kind"] != "U"))
    names = [name for _, name, _ in applied]
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise InvalidRequest(
            f"several folders below {folder} have {', '.join(duplicates)}; name the folder of this database"
        )
    return tuple(
        _read_migration(path, place, undo.get(version), second_opinion)
        for place, (version, _, path) in enumerate(applied, start=1)
    )


def _checksum(path: Path) -> str:
    """Compute the column `checksum`: the CRC32 of the lines without their ends, as a signed number of 32 bits.

    Flyway leaves a byte-order mark out.
    """
    text = read_file(path)[1].removeprefix("\ufeff")
    crc = 0
    for line in re.split("\r\n|\r|\n", text):
        crc = zlib.crc32(line.encode(), crc)
    return str(crc - (1 << 32) if crc >= 1 << 31 else crc)


def _version(match: re.Match[str]) -> tuple[float, ...]:
    if match["repeats"]:
        return _AFTER_ALL_VERSIONS
    numbers = [float(part) for part in re.split("[._]", match["version"])]
    while numbers[1:] and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _read_migration(path: Path, place: int, undo: Path | None, second_opinion: SecondOpinion) -> ShippedMigration:
    if path.suffix == ".java":
        return from_code_file(MigrationTool.FLYWAY, path.name, path, place, None, second_opinion)
    shipped = from_sql_file(MigrationTool.FLYWAY, path.name, path, place, second_opinion, _checksum(path))
    if undo is None:
        return shipped
    down_impact = classify_text(read_file(undo)[1], second_opinion)
    return shipped.model_copy(update={"has_down": True, "down_impact": down_impact})
