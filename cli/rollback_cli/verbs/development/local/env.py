"""`rollback local env`: the variables by which AWS clients find the local cloud, as commands of a shell."""

import os
import shlex
from collections.abc import Iterator, Mapping

import typer

from rollback_cli.local_environment.client_variables import in_the_way


def env() -> None:
    """Print commands that point a shell's AWS clients at the local cloud: eval "$(rollback local env)".

    The other verbs (status, start, history, …), `cdk` and `aws` find the local cloud by these variables only.
    """
    from rollback_cli.local_environment import cloud_record  # noqa: PLC0415 - see `demo`

    for line in shell_commands(cloud_record.read().variables, os.environ):
        typer.echo(line)


def shell_commands(variables: Mapping[str, str], present: Mapping[str, str]) -> Iterator[str]:
    """Yield the commands: those that remove variables which are in the way, and the exports.

    Args:
        variables: variables of the local cloud.
        present: variables of the shell.
    """
    if names := in_the_way(present, variables):
        yield f"unset {' '.join(names)}"
    for name, value in variables.items():
        yield f"export {name}={shlex.quote(value)}"
