"""Words of the command line, put into the order in which the parser takes them.

- `--quiet`, `--verbose` and `--debug` may stand anywhere before `--`; the parser takes them before the verb.
- `rollback production service` means `rollback start production service`, as in the runbook that this command replaces.
"""

from collections.abc import Sequence

from rollback_cli.shell.catalogue import find_verb

TYPES = ("service", "database", "full", "emergency")
ENVIRONMENTS = ("production", "staging", "feature")
COMPLETE = "__complete"  # word by which the completion scripts ask for candidates
_COMMON_FLAGS = ("--quiet", "-q", "--verbose", "--debug")
_TEXT_OPTIONS = ("--reason",)  # the word after such an option is its value, whatever it looks like


def arrange(words: Sequence[str], environments: Sequence[str] = ENVIRONMENTS) -> list[str]:
    """Put the common flags before the verb, and add the verb `start` where an environment stands first.

    Args:
        words: words after the command's name.
        environments: names of known environments.
    """
    if not words:
        return ["--help"]
    flags, rest = _take_common_flags(words)
    return [*flags, *_with_start(rest, environments)]


def _take_common_flags(words: Sequence[str]) -> tuple[list[str], list[str]]:
    flags: list[str] = []
    rest: list[str] = []
    for number, word in enumerate(words):
        if word == "--":
            return flags, [*rest, *words[number:]]
        is_value = number > 0 and words[number - 1] in _TEXT_OPTIONS
        (flags if word in _COMMON_FLAGS and not is_value else rest).append(word)
    return flags, rest


def _with_start(words: list[str], environments: Sequence[str]) -> list[str]:
    if not words or words[0].startswith("-") or find_verb(words[0]) is not None:
        return words
    is_environment = words[0] in environments or (len(words) > 1 and words[1] in TYPES)
    return ["start", *words] if is_environment else words
