"""`rollback local up`: keep the embedded cloud running, for any AWS client."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from rollback.errors import InvalidRequest

app = typer.Typer(no_args_is_help=True, help="The embedded cloud on this machine.")


@app.callback()
def local() -> None:
    """The embedded cloud on this machine."""


@contextmanager
def _explained() -> Iterator[None]:
    from local_cloud.deployment.server import PortInUseError  # noqa: PLC0415 - see `demo`

    try:
        yield
    except PortInUseError as taken:
        raise InvalidRequest(f"--port: {taken}") from taken


@app.command()
def up(port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 5000) -> None:
    """Start the cloud with our stacks deployed and a healthy release shipped; Ctrl-C ends it, and all its state."""
    from local_cloud.processes.orderly_exit import orderly_exit  # noqa: PLC0415
    from rollback_cli.demo.scenarios import GOOD_VERSION  # noqa: PLC0415 - see `demo`
    from rollback_cli.demo.stage import DemoEnvironment  # noqa: PLC0415
    from rollback_cli.demo.timeline.timeline import Timeline  # noqa: PLC0415

    console = Console()
    with _explained(), orderly_exit(), DemoEnvironment(Timeline(console), port=port) as stage:
        stage.push(GOOD_VERSION, {"kind": "healthy"})
        stage.ship(GOOD_VERSION, desired_count=2)
        stage.start_load()
        console.print("\nPoint any AWS client at it:\n", highlight=False)
        for name, value in stage.cloud.environment().items():
            console.print(f"export {name}={value}", highlight=False, soft_wrap=True)
        console.print(f"\nThe application: {stage.base_url}/api/status", highlight=False)
        console.print("Then, for example: rollback status production\n", highlight=False)
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            console.print("stopping")
