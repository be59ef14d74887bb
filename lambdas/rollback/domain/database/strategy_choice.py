"""The choice of a strategy where the settings say `auto`: down-migrations if they lose no data, else a restore.

A down file that drops a column also drops the values written since. A restore drops them too, but keeps them in a
backup branch. So a down file that is not known to be harmless is a reason to restore.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rollback.domain.database.migration_impact import Impact
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.database.schema_verdict import JournalRelation, SchemaVerdict
from rollback.domain.settings.database import DatabaseSettings, Strategy

_LOSES_NOTHING = frozenset({Impact.NONE, Impact.ADDITIVE})


@dataclass(frozen=True)
class StrategyChoice:
    """A strategy with its reason, which a check of the plan shows.

    Attributes:
        strategy: down-migrations or restore.
        reason: reason of the choice.
        migrations: tags to step down, newest first.
    """

    strategy: Strategy
    reason: str
    migrations: tuple[str, ...] = ()


def choose_strategy(
    verdict: SchemaVerdict, shipped: Iterable[ShippedMigration], settings: DatabaseSettings
) -> StrategyChoice:
    """Choose down-migrations or a restore.

    Args:
        verdict: verdict on the target, which names the migrations applied since.
        shipped: migrations of the running release, whose tasks would run the down files.
        settings: settings of the database.
    """
    by_tag = {migration.tag: migration for migration in shipped}
    tags = find_down_migrations(verdict, by_tag.values(), settings)
    if isinstance(tags, str):
        return _restore(tags)
    objection = next((text for tag in tags if (text := _objection(by_tag[tag])) is not None), None)
    if objection is not None:
        return _restore(objection)
    reason = f"the running release ships down files that lose nothing: {', '.join(tags)}"
    return StrategyChoice(Strategy.DOWN_MIGRATIONS, reason, tags)


def _objection(migration: ShippedMigration) -> str | None:
    down_impact, tag = migration.down_impact, migration.tag
    if down_impact is None:
        return f"the class of the down file of {tag} was not recorded"
    if down_impact.impact not in _LOSES_NOTHING:
        return f"the down file of {tag} may lose data: {'; '.join(down_impact.reasons) or down_impact.impact}"
    if down_impact.impact is Impact.NONE and migration.impact.impact not in _LOSES_NOTHING:
        return f"the down file of {tag} changes nothing, but {tag} does"
    return None


def find_down_migrations(
    verdict: SchemaVerdict, shipped: Iterable[ShippedMigration], settings: DatabaseSettings
) -> tuple[str, ...] | str:
    """Tags to step down, newest first, even if that loses data; a text says why stepping down is impossible."""
    if not settings.down_command:
        return "no down_command is set"
    if verdict.journal is not JournalRelation.AHEAD:
        return (
            f"the database's journal is {verdict.journal} compared with the target's, so down-migrations do not lead "
            "to the target's schema"
        )
    has_down = {migration.tag: migration.has_down for migration in shipped}
    tags_without_down_file = [tag for tag in verdict.since if not has_down.get(tag, False)]
    if tags_without_down_file:
        return f"the running release ships no down file for {', '.join(tags_without_down_file)}"
    return tuple(reversed(verdict.since))


def _restore(reason: str) -> StrategyChoice:
    return StrategyChoice(Strategy.RESTORE, f"a restore, since {reason}")
