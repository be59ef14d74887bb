"""Variables by which AWS clients find the local cloud, and those that would lead them elsewhere."""

import os
from collections.abc import Iterable, Mapping

# A client would use these instead of the variables of the local cloud, or send a real token to it.
_IN_THE_WAY = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
_ENDPOINT = "AWS_ENDPOINT_URL_"


def in_the_way(present: Iterable[str], variables: Mapping[str, str]) -> list[str]:
    """Return the names of present variables that would lead a client elsewhere.

    Args:
        present: names of the variables of a process.
        variables: variables of the local cloud.
    """
    return sorted(
        name for name in present if (name in _IN_THE_WAY or name.startswith(_ENDPOINT)) and name not in variables
    )


def point_this_process_at(variables: Mapping[str, str]) -> None:
    """Let the AWS clients of this process call the local cloud only, whatever the shell's variables name."""
    for name in in_the_way(list(os.environ), variables):
        del os.environ[name]
    os.environ.update(variables)
