"""The `rollback` command: one verb, one file in `verbs/`; exit code 0 done, 1 it failed, 2 the request is wrong."""

import sys

import typer

from rollback.errors import InvalidRequest, RollbackError
from rollback_cli import plain
from rollback_cli.verbs import (
    check_deploy,
    checkpoint,
    demo,
    history,
    local,
    promote,
    show,
    start,
    status,
    undo,
    versions,
)
from rollback_cli.verbs.operations import abort, pause, quarantine, resume, unfence, unlock, unquarantine

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.command("start")(start.start)
app.command("status")(status.status)
app.command("versions")(versions.versions)
app.command("history")(history.history)
app.command("show")(show.show)
app.command("promote")(promote.promote)
app.command("pause")(pause.pause)
app.command("resume")(resume.resume)
app.command("abort")(abort.abort)
app.command("quarantine")(quarantine.quarantine)
app.command("unquarantine")(unquarantine.unquarantine)
app.command("unlock")(unlock.unlock)
app.command("unfence")(unfence.unfence)
app.command("undo")(undo.undo)
app.command("check-deploy")(check_deploy.check_deploy)
app.command("checkpoint")(checkpoint.checkpoint)
app.command("demo")(demo.demo)
app.add_typer(local.app, name="local")


def main() -> None:
    """Run the command; an error of ours is one clear line, not a traceback."""
    try:
        app()
    except RollbackError as error:
        plain.console(stderr=True).print(f"[red]error:[/] {plain.safe(error)}", soft_wrap=True)
        sys.exit(2 if isinstance(error, InvalidRequest) else 1)


if __name__ == "__main__":
    main()
