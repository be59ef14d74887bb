"""Roll an ECS service, its Neon database, or both back, and control their automatic rollbacks.

Exit codes: 0 done, 1 failed or refused, 2 the request is not valid. `verify` also has 3 and 4.
"""

import sys

import typer

from rollback.errors import InvalidRequest, RollbackError
from rollback_cli.terminal_text import escape_markup, make_console
from rollback_cli.verbs.development import demo, local
from rollback_cli.verbs.operations import doctor, pause, resume, unfence, unlock
from rollback_cli.verbs.releases import check_deploy, checkpoint, promote, quarantine, unquarantine, versions
from rollback_cli.verbs.rollbacks import (
    abort,
    approve,
    drill,
    history,
    metrics,
    reject,
    report,
    show,
    start,
    status,
    undo,
    verify,
)

ROLLBACKS, RELEASES = "Rollbacks", "Releases"
OPERATIONS, DEVELOPMENT = "Operations", "Development (embedded cloud on this machine)"

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.command("start", rich_help_panel=ROLLBACKS)(start.start)
app.command("status", rich_help_panel=ROLLBACKS)(status.status)
app.command("history", rich_help_panel=ROLLBACKS)(history.history)
app.command("report", rich_help_panel=ROLLBACKS)(report.report)
app.command("show", rich_help_panel=ROLLBACKS)(show.show)
app.command("metrics", rich_help_panel=ROLLBACKS)(metrics.metrics)
app.command("approve", rich_help_panel=ROLLBACKS)(approve.approve)
app.command("reject", rich_help_panel=ROLLBACKS)(reject.reject)
app.command("abort", rich_help_panel=ROLLBACKS)(abort.abort)
app.command("undo", rich_help_panel=ROLLBACKS)(undo.undo)
app.command("verify", rich_help_panel=ROLLBACKS)(verify.verify)
app.command("drill", rich_help_panel=ROLLBACKS)(drill.drill)
app.command("versions", rich_help_panel=RELEASES)(versions.versions)
app.command("promote", rich_help_panel=RELEASES)(promote.promote)
app.command("quarantine", rich_help_panel=RELEASES)(quarantine.quarantine)
app.command("unquarantine", rich_help_panel=RELEASES)(unquarantine.unquarantine)
app.command("check-deploy", rich_help_panel=RELEASES)(check_deploy.check_deploy)
app.command("checkpoint", rich_help_panel=RELEASES)(checkpoint.checkpoint)
app.command("doctor", rich_help_panel=OPERATIONS)(doctor.doctor)
app.command("pause", rich_help_panel=OPERATIONS)(pause.pause)
app.command("resume", rich_help_panel=OPERATIONS)(resume.resume)
app.command("unlock", rich_help_panel=OPERATIONS)(unlock.unlock)
app.command("unfence", rich_help_panel=OPERATIONS)(unfence.unfence)
app.command("demo", rich_help_panel=DEVELOPMENT)(demo.demo)
app.add_typer(local.app, name="local", rich_help_panel=DEVELOPMENT)


def main() -> None:
    """Run the command; print an error of ours as one line, without a traceback."""
    try:
        app()
    except RollbackError as error:
        make_console(stderr=True).print(f"[red]error:[/] {escape_markup(error)}", soft_wrap=True)
        sys.exit(2 if isinstance(error, InvalidRequest) else 1)


if __name__ == "__main__":
    main()
