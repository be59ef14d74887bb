"""`rollback demo`: the main job on the embedded cloud, from a bad release to verified recovery."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rollback.model.errors import InvalidRequest
from rollback.model.phases import phases
from rollback.model.rollback import Outcome, Rollback


def demo(
    scenario: Annotated[str, typer.Option(help="bad-release or failed-deployment")] = "bad-release",
) -> None:
    """Ship a good and a bad release, and watch the bad one being rolled back. Exit code 0 only if it verifiably was."""
    # The embedded cloud is for development: the command must work where it is not installed.
    from rollback_cli.stage.scenarios import SCENARIOS, play  # noqa: PLC0415
    from rollback_cli.stage.stage import Stage  # noqa: PLC0415
    from rollback_cli.stage.timeline import Timeline  # noqa: PLC0415
    from rollback_cli.stage.waiting import DidNotHappen, until  # noqa: PLC0415
    from rollback_cli.stage.watch import Watch  # noqa: PLC0415

    if scenario not in SCENARIOS:
        raise InvalidRequest(f"scenario {scenario!r} is not known; valid values: {', '.join(SCENARIOS)}")
    console = Console()
    timeline = Timeline(console)
    with Stage(timeline) as stage:
        watch = Watch(stage, timeline).start()
        ledger = stage.deployed.world().ledger
        problems: list[str] = []
        ended: Rollback | None = None

        def concluded() -> bool:
            nonlocal ended
            acted = [r for r in ledger.history(stage.service.name) if r.service is not None]
            ended = acted[0] if acted else None
            return ended is not None and ended.concluded_at is not None

        try:
            good_digest = play(SCENARIOS[scenario], stage, timeline)
            until("a rollback has concluded", concluded, 60)
            until("only the good release runs", lambda: stage.running_digests() == {good_digest}, 10)
        except DidNotHappen as late:
            problems.append(str(late))
        watch.stop()
        if ended is None or ended.outcome is not Outcome.SUCCEEDED:
            problems.append(f"the rollback's outcome is {ended.outcome if ended else 'none: there was none'}")
        console.print(_summary(ended, stage.load.served, stage.load.failed) if stage.load else "no traffic")
    for problem in problems:
        console.print(f"NOT RECOVERED: {problem}", style="bold red", highlight=False)
    if problems:
        raise typer.Exit(1)
    timeline.say("recovered: the service verifiably runs its last known good release", "good")


def _summary(ended: Rollback | None, served: int, failed: int) -> Table:
    table = Table(title="What happened", show_header=False)
    if ended is not None and ended.plan is not None:
        target = ended.plan.target.version if ended.plan.target else "nothing"
        table.add_row("rollback", ended.id)
        table.add_row("trigger", str(ended.trigger))
        table.add_row("from → to", f"{ended.plan.running.version} → {target}")
        table.add_row("outcome", str(ended.outcome))
        for name, seconds in phases(ended).items():
            table.add_row(name, f"{seconds:.1f} s")
    table.add_row("requests served", str(served))
    table.add_row("requests failed", str(failed))
    return table
