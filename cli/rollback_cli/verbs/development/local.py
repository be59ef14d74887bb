"""`rollback local up`: the embedded cloud with our stacks deployed, kept running for any AWS client."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from rollback.errors import InvalidRequest

app = typer.Typer(no_args_is_help=True, help="Run the embedded cloud on this machine.")


@app.callback()
def local() -> None:
    """Run the embedded cloud on this machine."""


@contextmanager
def _port_errors_as_requests() -> Iterator[None]:
    """Turn a port that is in use into an error of the request."""
    from local_cloud.deployment.server import PortInUseError  # noqa: PLC0415 - see `demo`

    try:
        yield
    except PortInUseError as error:
        raise InvalidRequest(f"--port: {error}") from error


@app.command()
def up(
    port: Annotated[int, typer.Option(min=0, max=65535, help="port of the embedded cloud; 0: a free one")] = 5000,
) -> None:
    """Start the embedded cloud, deploy our stacks in it, and ship a healthy release under traffic.

    Ctrl-C stops it and deletes its state; nothing outside this machine is touched.
    """
    from local_cloud.processes.orderly_exit import orderly_exit  # noqa: PLC0415
    from rollback_cli.demo.environment import DemoEnvironment  # noqa: PLC0415
    from rollback_cli.demo.scenarios import GOOD_VERSION  # noqa: PLC0415 - see `demo`
    from rollback_cli.demo.timeline.timeline import Timeline  # noqa: PLC0415

    console = Console()
    with _port_errors_as_requests(), orderly_exit(), DemoEnvironment(Timeline(console), port=port) as environment:
        environment.push(GOOD_VERSION, {"kind": "healthy"})
        environment.ship(GOOD_VERSION, desired_count=2)
        environment.start_load()
        console.print("\nTo point an AWS client at this cloud:\n", highlight=False)
        for name, value in environment.cloud.environment().items():
            console.print(f"export {name}={value}", highlight=False, soft_wrap=True)
        console.print(f"\nThe application: {environment.base_url}/api/status", highlight=False)
        console.print("Then, for example: rollback status production\n", highlight=False)
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            console.print("stopping the embedded cloud")
