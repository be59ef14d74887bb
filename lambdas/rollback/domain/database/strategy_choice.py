"""How a database goes back where the settings say `auto`: by the release's own down-migrations, if they lose nothing.

A down file that drops what its up file added loses what was written there since. A restore keeps none of that either,
but it keeps everything of before in a backup; so whatever can't be told to be harmless is a reason to restore.
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
    """`migrations`: tags to step down, newest first; `reason` is for a check of the plan."""

    strategy: Strategy
    reason: str
    migrations: tuple[str, ...] = ()


def choose_strategy(
    verdict: SchemaVerdict, shipped: Iterable[ShippedMigration], settings: DatabaseSettings
) -> StrategyChoice:
    """Down-migrations or a restore.

    Args:
        verdict: of the target on the live schema: it names what was applied since.
        shipped: by the running release, whose tasks would run the down files.
    """
    by_tag = {one.tag: one for one in shipped}
    stepped = find_down_migrations(verdict, by_tag.values(), settings)
    if isinstance(stepped, str):
        return _restore(stepped)
    against = next((why for tag in stepped if (why := _objection(by_tag[tag])) is not None), None)
    if against is not None:
        return _restore(against)
    reason = f"the running release ships down files that lose nothing: {', '.join(stepped)}"
    return StrategyChoice(Strategy.DOWN_MIGRATIONS, reason, stepped)


def _objection(migration: ShippedMigration) -> str | None:
    down, tag = migration.down_impact, migration.tag
    if down is None:
        return f"what the down file of {tag} does was not recorded"
    if down.impact not in _LOSES_NOTHING:
        return f"the down file of {tag} may lose data: {'; '.join(down.reasons) or down.impact}"
    if down.impact is Impact.NONE and migration.impact.impact not in _LOSES_NOTHING:
        return f"the down file of {tag} does nothing, and {tag} does"
    return None


def find_down_migrations(
    verdict: SchemaVerdict, shipped: Iterable[ShippedMigration], settings: DatabaseSettings
) -> tuple[str, ...] | str:
    """The tags to step down, newest first, whatever that loses; or why it can't be done."""
    if not settings.down_command:
        return "no down_command is set"
    if verdict.journal is not JournalRelation.AHEAD:
        return f"the database's journal is {verdict.journal}, seen from the target's: stepping down does not lead there"
    has_down = {one.tag: one.has_down for one in shipped}
    without = [tag for tag in verdict.since if not has_down.get(tag, False)]
    if without:
        return f"the running release ships no down file for {', '.join(without)}"
    return tuple(reversed(verdict.since))


def _restore(why: str) -> StrategyChoice:
    return StrategyChoice(Strategy.RESTORE, f"a restore, since {why}")
