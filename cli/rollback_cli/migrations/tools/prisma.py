"""The folder of Prisma: `<time>_<name>/migration.sql`."""

import hashlib
from pathlib import Path

from rollback.domain.database.release_schema import ShippedMigration
from rollback.resources.database.migration_journal import MigrationTool
from rollback_cli.migrations.tools.drizzle import drizzle_1_folders
from rollback_cli.migrations.tools.migration_file import SecondOpinion, from_sql_file, read_file


def is_prisma(folder: Path) -> bool:
    """Whether the folder has Prisma's lock file, or folders with a `migration.sql` that are not drizzle-kit's."""
    return (folder / "migration_lock.toml").is_file() or (
        any(folder.glob("*/migration.sql")) and not drizzle_1_folders(folder)
    )


def read_prisma(folder: Path, second_opinion: SecondOpinion) -> tuple[ShippedMigration, ...]:
    """Read all migrations, in the order of their names.

    The journal's checksum is the SHA-256 of the file (prisma-engines, `checksum.rs`).
    """
    return tuple(
        from_sql_file(
            MigrationTool.PRISMA,
            path.parent.name,
            path,
            place,
            second_opinion,
            hashlib.sha256(read_file(path)[0]).hexdigest(),
        )
        for place, path in enumerate(sorted(folder.glob("*/migration.sql")), start=1)
    )
