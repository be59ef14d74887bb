"""`rollback demo`: a bad release and its rollback on the embedded cloud, verified at the end."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rollback.domain.phases import phases
from rollback.domain.rollback import Rollback
from rollback.errors import InvalidRequest
from rollback_cli.demo.expected_outcomes import find_answering_rollback
from rollback_cli.demo.scenarios import SCENARIOS, run_scenario
from rollback_cli.demo.timeline.timeline import Timeline
from rollback_cli.demo.waiting import ExpectationFailed
from rollback_cli.terminal_text import table_cell


def demo(
    scenario: Annotated[str, typer.Option(help=f"one of {', '.join(SCENARIOS)}")] = "bad-release",
) -> None:
    """Ship a bad release on the embedded cloud, and print how it is rolled back; needs no AWS account.

    Exit code 0: the scenario verifiably ended as expected.
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
    problem = ""
    with (
        orderly_exit(),
        DemoEnvironment(
            timeline,
            policy=selected.policy,
            with_database=selected.migrations is not None,
            approval=selected.approval,
        ) as environment,
    ):
        with DemoWatcher(environment, timeline) as watcher:
            try:
                run_scenario(selected, environment, timeline)
                selected.expected_outcome.verify(environment)
            except ExpectationFailed as failure:
                problem = str(failure)
            watcher.stop()
        load = environment.load
        if load is None:
            console.print("no traffic was started")
        else:
            console.print(_summary(find_answering_rollback(environment), load.served, load.failed))
    if problem:
        console.print(table_cell(f"{selected.expected_outcome.failure_message}: {problem}", "bold red"))
        raise typer.Exit(1)
    timeline.say(selected.expected_outcome.success_message, "good")


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
