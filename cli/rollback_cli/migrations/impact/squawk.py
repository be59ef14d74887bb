"""A second reader of migrations: squawk, which parses all of Postgres's grammar.

It warns of what it knows to be dangerous, and is silent about the rest (a TRUNCATE, an UPDATE, a DO block), so its
silence says nothing: it may only make a class worse. Its rules: squawkhq.com/docs/rules.
"""

import json
import subprocess
import sysconfig
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from rollback.domain.database.migration_impact import NO_IMPACT, MigrationImpact, breaking, combine_impacts, unknown
from rollback.errors import ExternalServiceError

# Rules about what clients may do; the others are about locks, time and taste. Not `adding-required-field`: it takes a
# `bigserial NOT NULL` for a column without a default.
_BREAKING = frozenset(
    {
        "ban-drop-column",
        "ban-drop-database",
        "ban-drop-table",
        "changing-column-type",
        "renaming-column",
        "renaming-table",
    }
)
_HIDDEN = frozenset({"ban-truncate-cascade"})  # breaking, and no difference of two structures
_UNREADABLE = "syntax-error"
_SECONDS = 30


class _Warning(BaseModel):
    model_config = ConfigDict(extra="ignore")

    rule_name: str
    message: str
    line: int  # from 0


_WARNINGS = TypeAdapter(list[_Warning])


def run_squawk(sql: str) -> MigrationImpact:
    """What squawk has against a migration's text.

    Raises:
        ExternalServiceError: it is not installed, or did not answer as it should.
    """
    program = Path(sysconfig.get_path("scripts")) / "squawk"
    # A repository's own configuration is about its taste, and an empty one is not: nothing is left out here.
    command = [str(program), "--reporter", "json", "--config", "/dev/null"]
    try:
        done = subprocess.run(command, input=sql, capture_output=True, text=True, timeout=_SECONDS, check=False)
        found = _WARNINGS.validate_json(done.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExternalServiceError(
            f"squawk can't be run ({error}); install it with `pip install squawk-cli`"
        ) from error
    except (ValidationError, json.JSONDecodeError) as error:
        raise ExternalServiceError(f"squawk did not answer with its warnings: {done.stderr.strip()[:300]}") from error
    return combine_impacts(_classify_warning(one) for one in found)


def _classify_warning(warning: _Warning) -> MigrationImpact:
    said = f"squawk, line {warning.line + 1}: {warning.rule_name}"
    if warning.rule_name == _UNREADABLE:
        return unknown(f"{said}: {warning.message}")
    if warning.rule_name in _HIDDEN:
        return breaking(said, shows=False)
    return breaking(said) if warning.rule_name in _BREAKING else NO_IMPACT
