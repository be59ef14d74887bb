"""Candidates for the word at the cursor, for the scripts of `rollback completion`."""

from collections.abc import Iterable

from rollback_cli.shell import names_cache
from rollback_cli.shell.catalogue import VERBS, find_verb
from rollback_cli.shell.words import TYPES, arrange

SHELLS = ("bash", "zsh", "fish")
STRATEGIES = ("restore", "reset", "recreate", "delete", "down_migrations", "auto")
# Verb → kind of its second argument; the first is an environment, but for the verbs below.
SECOND_ARGUMENTS = {
    "start": "types",
    "watch": "rollbacks",
    "show": "rollbacks",
    "report": "rollbacks",
    "approve": "rollbacks",
    "reject": "rollbacks",
    "abort": "rollbacks",
    "undo": "rollbacks",
    "quarantine": "versions",
    "unquarantine": "versions",
}
_COMMON = ("--quiet", "--verbose", "--debug", "--stack")
WITHOUT_ENVIRONMENT = ("completion", "demo", "init", "local")
_VALUES_OF_OPTIONS = {
    "--service": "services",
    "--target-version": "versions",
    "--version": "versions",
    "--before": "rollbacks",
    "--type": "types",
    "--scenario": "types",
    "--strategy": "strategies",
}
_FIXED = {"types": TYPES, "strategies": STRATEGIES}


def print_candidates(words: list[str]) -> int:
    """Print the candidates, one a line. An error prints nothing: a shell must not show it while someone types."""
    try:
        print("\n".join(candidates(words)))
    except Exception:  # noqa: BLE001 - see above
        return 1
    return 0


def candidates(words: list[str]) -> list[str]:
    """Return the words that may stand at the cursor.

    Args:
        words: words after the command's name up to the cursor; the last one is unfinished, and may be empty.
    """
    *before, unfinished = words or [""]
    return sorted({name for name in _possible(before, unfinished) if name.startswith(unfinished)})


def _possible(before: list[str], unfinished: str) -> Iterable[str]:
    before = arrange(before, names_cache.environments()) if before else []
    values = {position + 1 for position, word in enumerate(before) if word == "--stack"}
    given = [word for position, word in enumerate(before) if not word.startswith("-") and position not in values]
    if not given:
        common = ("--help", "--version", *_COMMON)
        return (*(verb.name for verb in VERBS), *names_cache.environments(), *common)
    verb, environment = given[0], given[1] if len(given) > 1 else None
    if unfinished.startswith("-"):
        return _options(verb, before)
    if before[-1] in _VALUES_OF_OPTIONS:
        return _names(_VALUES_OF_OPTIONS[before[-1]], environment)
    position = _count_arguments(before) - 1
    if verb == "completion":
        return SHELLS if position == 0 else ()
    if verb == "local":
        return _sub_verbs(verb) if position == 0 else ()
    if verb in WITHOUT_ENVIRONMENT or find_verb(verb) is None:
        return ()
    if position == 0:
        return (*names_cache.environments(), *(names_cache.names("rollbacks") if verb == "watch" else ()))
    return _names(SECOND_ARGUMENTS.get(verb, ""), environment) if position == 1 else ()


def _count_arguments(before: list[str]) -> int:
    """Count the words that are neither options nor values of options."""
    values = {number + 1 for number, word in enumerate(before) if word in _VALUES_OF_OPTIONS or word == "--reason"}
    return sum(not word.startswith("-") and number not in values for number, word in enumerate(before))


def _names(kind: str, environment: str | None) -> Iterable[str]:
    return _FIXED.get(kind) or names_cache.names(kind, environment)


def _command(verb: str) -> object:
    import typer  # noqa: PLC0415 - candidates that are names need no parser

    from rollback_cli.main import app  # noqa: PLC0415

    group: object = typer.main.get_command(app)
    return group.commands[verb]  # type: ignore[attr-defined]


def _options(verb: str, before: list[str]) -> Iterable[str]:
    if find_verb(verb) is None:
        return ()
    command = _command(verb)
    sub_verbs = getattr(command, "commands", {})
    command = next((sub_verbs[word] for word in before if word in sub_verbs), command)
    options = [name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)]  # type: ignore[attr-defined]
    return (
        *(name for name in options if name.startswith("--")),
        "--help",
        "--quiet",
        "--verbose",
        "--debug",
        "--stack",
    )


def _sub_verbs(verb: str) -> Iterable[str]:
    return tuple(getattr(_command(verb), "commands", ()))
