"""Words of the command line, put into the order in which the parser takes them.

- `--quiet`, `--verbose`, `--debug` and `--stack NAME` may stand anywhere before `--`; the parser takes them before the
  verb.
- `rollback production service` means `rollback start production service`, as in the runbook that this command replaces.
"""

from collections.abc import Sequence

from rollback_cli.shell.catalogue import find_verb

TYPES = ("service", "database", "full", "emergency")
ENVIRONMENTS = ("production", "staging", "feature")
COMPLETE = "__complete"  # word by which the completion scripts ask for candidates
_COMMON_FLAGS = ("--quiet", "-q", "--verbose", "--debug")
_COMMON_OPTIONS = ("--stack",)  # common options with a value
_TEXT_OPTIONS = ("--reason", *_COMMON_OPTIONS)  # the word after such an option is its value, whatever it looks like


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
    position = 0
    while position < len(words):
        word = words[position]
        if word == "--":
            return flags, [*rest, *words[position:]]
        is_common = word in _COMMON_FLAGS or word.partition("=")[0] in _COMMON_OPTIONS
        taken = words[position : position + (2 if word in _TEXT_OPTIONS else 1)]
        (flags if is_common else rest).extend(taken)
        position += len(taken)
    return flags, rest


def _with_start(words: list[str], environments: Sequence[str]) -> list[str]:
    if not words or words[0].startswith("-") or find_verb(words[0]) is not None:
        return words
    is_environment = words[0] in environments or (len(words) > 1 and words[1] in TYPES)
    return ["start", *words] if is_environment else words
