"""A second opinion on migrations by squawk, a linter that parses all of Postgres's grammar.

Squawk warns of statements that it knows to be dangerous, and is silent about others (a TRUNCATE, an UPDATE, a DO
block). Its silence proves nothing, so its warnings only make a class worse. Rules: squawkhq.com/docs/rules.
"""

import json
import subprocess
import sysconfig
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from rollback.domain.database.migration_impact import NO_IMPACT, MigrationImpact, breaking, combine_impacts, unknown
from rollback.errors import ExternalServiceError

# Rules about what clients may do; other rules are about locks, time and taste. Without `adding-required-field`, which
# takes a `bigserial NOT NULL` for a column without a default.
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
_BREAKING_AND_INVISIBLE = frozenset({"ban-truncate-cascade"})  # two structures show no difference
_UNREADABLE = "syntax-error"
_TIMEOUT_SECONDS = 30


class _Warning(BaseModel):
    model_config = ConfigDict(extra="ignore")

    rule_name: str
    message: str
    line: int  # the first is 0


_WARNINGS = TypeAdapter(list[_Warning])


def run_squawk(sql: str) -> MigrationImpact:
    """Classify a migration's text by squawk's warnings.

    Raises:
        ExternalServiceError: squawk is not installed, or its output can't be read.
    """
    program = Path(sysconfig.get_path("scripts")) / "squawk"
    # An empty configuration instead of the repository's own, which may exclude rules.
    command = [str(program), "--reporter", "json", "--config", "/dev/null"]
    try:
        process = subprocess.run(
            command, input=sql, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
        warnings = _WARNINGS.validate_json(process.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExternalServiceError(
            f"squawk can't be run ({error}); install it with `pip install squawk-cli`"
        ) from error
    except (ValidationError, json.JSONDecodeError) as error:
        raise ExternalServiceError(
            f"squawk printed no warnings that can be read: {process.stderr.strip()[:300]}"
        ) from error
    return combine_impacts(_classify_warning(warning) for warning in warnings)


def _classify_warning(warning: _Warning) -> MigrationImpact:
    reason = f"squawk, line {warning.line + 1}: {warning.rule_name}"
    if warning.rule_name == _UNREADABLE:
        return unknown(f"{reason}: {warning.message}")
    if warning.rule_name in _BREAKING_AND_INVISIBLE:
        return breaking(reason, shows=False)
    return breaking(reason) if warning.rule_name in _BREAKING else NO_IMPACT
