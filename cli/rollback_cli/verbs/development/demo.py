"""`rollback demo`: a bad release and its rollback on the embedded cloud, verified at the end."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from rollback.domain.phases import phases
from rollback.domain.rollback import Rollback
from rollback.errors import InvalidRequest
from rollback.stored_report.channel import current_document
from rollback_cli.demo.expected_outcomes import find_answering_rollback
from rollback_cli.demo.scenarios import SCENARIOS, run_scenario
from rollback_cli.demo.timeline.timeline import Timeline
from rollback_cli.demo.waiting import ExpectationFailed
from rollback_cli.report_page import open_page, write_page
from rollback_cli.terminal_text import print_paragraph, table_cell

if TYPE_CHECKING:
    from rollback_cli.demo.environment import DemoEnvironment


def demo(
    scenario: Annotated[str, typer.Option(help=f"one of {', '.join(SCENARIOS)}")] = "bad-release",
    should_open: Annotated[bool, typer.Option("--open", help="open the report of the rollback in a browser")] = False,
) -> None:
    """Ship a bad release on the embedded cloud, and print how it is rolled back; needs no AWS account.

    It ends by writing the report of the rollback as a page. Exit code 0: the scenario verifiably ended as expected.
    """
    # The embedded cloud is for development only: the other verbs must work where it is not installed.
    from local_cloud.processes.orderly_exit import orderly_exit  # noqa: PLC0415
    from rollback_cli.demo.environment import DemoEnvironment  # noqa: PLC0415
    from rollback_cli.demo.timeline.watcher import DemoWatcher  # noqa: PLC0415

    if scenario not in SCENARIOS:
        raise InvalidRequest(f"scenario {scenario!r} is not known; valid values: {', '.join(SCENARIOS)}")
    selected = SCENARIOS[scenario]
    console = Console()
    timeline = Timeline(console)
    problem, page = "", ""
    with (
        orderly_exit(),
        DemoEnvironment(
            timeline,
            policy=selected.policy,
            with_database=selected.migrations is not None,
            approval=selected.approval,
            release_watch=selected.release_watch,
        ) as environment,
    ):
        with DemoWatcher(environment, timeline) as watcher:
            try:
                run_scenario(selected, environment, timeline)
                selected.expected_outcome.verify(environment)
            except ExpectationFailed as failure:
                problem = str(failure)
            watcher.stop()
        answer = find_answering_rollback(environment)
        page = write_report(answer, environment, should_open=should_open) if answer is not None else ""
        load = environment.load
        if load is None:
            console.print("no traffic was started")
        else:
            console.print(_summary(answer, load.served, load.failed))
    if page:
        print_paragraph(page, console)
    if problem:
        console.print(table_cell(f"{selected.expected_outcome.failure_message}: {problem}", "bold red"))
        raise typer.Exit(1)
    timeline.say(selected.expected_outcome.success_message, "good")


def write_report(rollback: Rollback, environment: "DemoEnvironment", *, should_open: bool) -> str:
    """Write the report from the evidence of the embedded cloud, and say where. A failure is no end of the demo."""
    document = current_document(rollback, environment.ports, has_stored=rollback.concluded_at is not None)
    try:
        path = write_page(document)
    except OSError as failure:
        return f"The report was not written: {failure}"
    is_shown = should_open and open_page(path)
    return f"Report of the rollback{', opened in a browser' if is_shown else ''}: {path}"


def _summary(rollback: Rollback | None, served: int, failed: int) -> Table:
    table = Table(title="Summary", show_header=False)
    if rollback is not None and rollback.plan is not None:
        target = rollback.plan.target.version if rollback.plan.target else "none"
        table.add_row("rollback", rollback.id)
        table.add_row("trigger", rollback.trigger.replace("_", " "))
        table.add_row("from → to", table_cell(f"{rollback.plan.running.version} → {target}"))
        table.add_row("type", str(rollback.request.type))
        table.add_row("outcome", str(rollback.outcome))
        for name, seconds in phases(rollback).items():
            table.add_row(name, f"{seconds:.1f} s")
    table.add_row("requests served", str(served))
    table.add_row("requests failed", str(failed))
    return table
