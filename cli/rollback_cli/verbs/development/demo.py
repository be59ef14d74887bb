"""`rollback demo`: the main job on the embedded cloud, from a bad release to its verified end."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rollback.domain.phases import phases
from rollback.domain.rollback import Rollback
from rollback.errors import InvalidRequest
from rollback_cli import plain
from rollback_cli.demo.endings import find_answering_rollback
from rollback_cli.demo.scenarios import SCENARIOS, run_scenario
from rollback_cli.demo.timeline.timeline import Timeline
from rollback_cli.demo.waiting import ExpectationFailed


def demo(
    scenario: Annotated[str, typer.Option(help=", ".join(SCENARIOS))] = "bad-release",
) -> None:
    """Ship a bad release, and watch what becomes of it. Exit code 0 only if it verifiably ended as it should."""
    # The embedded cloud is for development: the command must work where it is not installed.
    from local_cloud.processes.orderly_exit import orderly_exit  # noqa: PLC0415
    from rollback_cli.demo.stage import DemoEnvironment  # noqa: PLC0415
    from rollback_cli.demo.timeline.watch import DemoWatcher  # noqa: PLC0415

    if scenario not in SCENARIOS:
        raise InvalidRequest(f"scenario {scenario!r} is not known; valid values: {', '.join(SCENARIOS)}")
    chosen = SCENARIOS[scenario]
    console = Console()
    timeline = Timeline(console)
    problem = ""
    with (
        orderly_exit(),
        DemoEnvironment(timeline, policy=chosen.policy, with_database=chosen.migrations is not None) as stage,
    ):
        with DemoWatcher(stage, timeline) as watch:
            try:
                run_scenario(chosen, stage, timeline)
                chosen.expected_outcome.verify(stage)
            except ExpectationFailed as failure_message:
                problem = str(failure_message)
            watch.stop()
        console.print(
            _summary(find_answering_rollback(stage), stage.load.served, stage.load.failed)
            if stage.load
            else "no traffic"
        )
    if problem:
        console.print(plain.cell(f"{chosen.expected_outcome.failure_message}: {problem}", "bold red"))
        raise typer.Exit(1)
    timeline.say(chosen.expected_outcome.success_message, "good")


def _summary(ended: Rollback | None, served: int, failed: int) -> Table:
    table = Table(title="What happened", show_header=False)
    if ended is not None and ended.plan is not None:
        target = ended.plan.target.version if ended.plan.target else "nothing"
        table.add_row("rollback", ended.id)
        table.add_row("trigger", str(ended.trigger))
        table.add_row("from → to", plain.cell(f"{ended.plan.running.version} → {target}"))
        table.add_row("type", str(ended.request.type))
        table.add_row("outcome", str(ended.outcome))
        for name, seconds in phases(ended).items():
            table.add_row(name, f"{seconds:.1f} s")
    table.add_row("requests served", str(served))
    table.add_row("requests failed", str(failed))
    return table
