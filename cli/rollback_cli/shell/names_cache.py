"""Names that earlier runs of the command saw, for completion and for the nearest name to a typo.

The file has names only: environments, services, versions, ids of rollbacks, and the account of each environment. No
decision about a rollback is based on it. A file that can't be read or written is left out without an error.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rollback_cli.shell.cache_folder import cache_folder, replace_file
from rollback_cli.shell.words import ENVIRONMENTS

_MOST_NAMES = 100  # for each kind, the newest first
KINDS = ("services", "versions", "rollbacks")


def cache_file() -> Path:
    """Return the file: `names.json` in the folder of caches."""
    return cache_folder() / "names.json"


def read() -> dict[str, dict[str, Any]]:
    """Read environment → kind → names; empty if there is no readable file."""
    try:
        stored = json.loads(cache_file().read_bytes())
    except (OSError, ValueError):
        return {}
    entries = stored.get("environments") if isinstance(stored, dict) else None
    return {str(k): v for k, v in entries.items() if isinstance(v, dict)} if isinstance(entries, dict) else {}


def environments() -> tuple[str, ...]:
    """Return the environments that were seen, and the usual ones."""
    return tuple(dict.fromkeys((*read(), *ENVIRONMENTS)))


def names(kind: str, environment: str | None = None) -> list[str]:
    """Return the names of a kind, of one environment or of all."""
    entries = read()
    chosen = entries.values() if environment is None else [entries.get(environment, {})]
    stored = [name for entry in chosen if isinstance(entry.get(kind), list) for name in entry[kind]]
    return list(dict.fromkeys(name for name in stored if isinstance(name, str)))


def environment_of(rollback_id: str) -> str | None:
    """Return the environment in which a rollback was seen."""
    return next((name for name in read() if rollback_id in names("rollbacks", name)), None)


def account_of(environment: str) -> str:
    """Return the account in which an environment was last found; empty if it is not known."""
    account = read().get(environment, {}).get("account", "")
    return account if isinstance(account, str) else ""


def remember(environment: str, *, account: str = "", **found: Iterable[str]) -> None:
    """Add names to an environment, the newest first.

    Args:
        environment: name of the environment.
        account: id of its AWS account; empty to keep the stored one.
        found: kind → names.
    """
    entries = read()
    entry = dict(entries.get(environment, {}))
    if account:
        entry["account"] = account
    for kind, new in found.items():
        entry[kind] = list(dict.fromkeys((*new, *names(kind, environment))))[:_MOST_NAMES]
    if entry != entries.get(environment):
        with suppress(OSError):
            replace_file(cache_file(), json.dumps({"environments": {**entries, environment: entry}}))
