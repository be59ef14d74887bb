"""`rollback local down`: the end of the local cloud."""

import typer


def down() -> None:
    """End the local cloud of this directory in order, and remove its state.

    A shell keeps the variables of `rollback local env`: close it before you work with a real account.
    """
    from rollback_cli.local_environment import cloud_record  # noqa: PLC0415 - see `demo`

    if cloud_record.end():
        typer.echo("The local cloud has ended, and its state is removed.")
    else:
        typer.echo(f"No local cloud runs from {cloud_record.record_folder()}: nothing to end.")
