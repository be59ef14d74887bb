"""`rollback local up`: the embedded cloud, kept running for any AWS client, in this terminal or in the background."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from rollback.errors import InvalidRequest, NotAvailable

if TYPE_CHECKING:
    from rollback_cli.local_environment.environment import LocalEnvironment

_POLL_SECONDS = 0.3


def up(
    port: Annotated[int, typer.Option(min=0, max=65535, help="port of the embedded cloud; 0: a free one")] = 5000,
    should_deploy: Annotated[
        bool, typer.Option("--deploy", help="deploy our stacks, and ship a first good release, v1.0.0")
    ] = False,
    with_database: Annotated[
        bool, typer.Option("--database", help="give the service a Neon database, on Postgres of this machine")
    ] = False,
    has_traffic: Annotated[
        bool, typer.Option("--traffic/--no-traffic", help="send 10 requests per second once the service answers")
    ] = True,
    in_background: Annotated[
        bool, typer.Option("--detach", help="run in the background; return when the cloud is ready")
    ] = False,
) -> None:
    """Start the embedded cloud; needs no AWS account, and touches none.

    It runs until Ctrl-C or `rollback local down`, and then deletes its state. Alarms, deployments and rollbacks are
    printed as they come. Minutes of AWS are seconds here.
    """
    if in_background:
        words = ["--port", str(port), "--traffic" if has_traffic else "--no-traffic"]
        words += ["--deploy"] * should_deploy + ["--database"] * with_database
        _run_in_background(words)
        return
    from local_cloud.processes.orderly_exit import orderly_exit  # noqa: PLC0415 - see `demo`
    from rollback_cli.demo.timeline.timeline import Timeline  # noqa: PLC0415 - see `demo`
    from rollback_cli.local_environment import cloud_record  # noqa: PLC0415 - see `demo`
    from rollback_cli.local_environment.environment import LocalEnvironment  # noqa: PLC0415 - see `demo`

    with (
        cloud_record.owned_record(),
        _errors_in_words(),
        orderly_exit(),
        LocalEnvironment(
            Timeline(Console()),
            port=port,
            should_deploy=should_deploy,
            with_database=with_database,
            has_traffic=has_traffic,
        ) as environment,
    ):
        if should_deploy:
            environment.ship_first_release()
        cloud_record.save(environment.record())
        _print_next_commands(environment, is_deployed=should_deploy)
        try:
            while True:
                time.sleep(1)
                if not should_deploy:
                    environment.follow_deployment()
        except KeyboardInterrupt:
            typer.echo("stopping the embedded cloud")


@contextmanager
def _errors_in_words() -> Iterator[None]:
    """Turn the errors of a start into errors without a traceback: a port in use, settings, a stack, a release."""
    from local_cloud.deployment.deploy import DeploymentFailed  # noqa: PLC0415 - see `demo`
    from local_cloud.deployment.server import PortInUseError  # noqa: PLC0415 - see `demo`
    from rollback_cli.demo.synthesis import SynthesisFailed  # noqa: PLC0415 - see `demo`
    from rollback_cli.demo.waiting import ExpectationFailed  # noqa: PLC0415 - see `demo`

    try:
        yield
    except PortInUseError as error:
        raise InvalidRequest(f"--port: {error}") from error
    except (SynthesisFailed, DeploymentFailed) as error:
        raise NotAvailable(
            f"the stacks are not deployed; correct cdk.json or the stacks, then start again: {error}"
        ) from error
    except ExpectationFailed as error:
        raise NotAvailable(f"the first release did not come up, so the local cloud ends: {error}") from error


def _print_next_commands(environment: "LocalEnvironment", *, is_deployed: bool) -> None:
    from rollback_cli.local_environment.cloud_record import assembly_folder  # noqa: PLC0415 - see `demo`

    application = f"The local cloud is ready. The application: {environment.base_url}/api/status"
    if is_deployed:
        commands = """
    rollback status production                     # v1.0.0 runs, and is the last known good
    rollback local ship v1.1.0                     # a second good release; wait until it is promoted
    rollback local ship v1.2.0 --behaves errors    # a bad one: it is rolled back automatically
    rollback local traffic                         # the answers that users get meanwhile
    rollback history production                    # then: rollback report production ID
    rollback start production --target-version v1.0.0 --reason "try it"
    rollback local down"""
    else:
        assembly = os.path.relpath(assembly_folder())
        commands = f"""
    cdk deploy --all --app {assembly} --require-approval never    # the cdk of `make tools`
    rollback local ship v1.0.0                     # the first release
    rollback status production
    rollback local down"""
    variables = '\n    eval "$(rollback local env)"                   # each shell needs it, for rollback, cdk and aws'
    typer.echo(f"\n{application}\nIn another terminal, in this directory:\n{variables}{commands}\n")


def _run_in_background(words: list[str]) -> None:
    """Start the command again in a session of its own, print its output, and wait until its cloud is ready.

    Raises:
        InvalidRequest: a cloud runs already.
        NotAvailable: the cloud ended before it was ready. Its output has said why.
    """
    from rollback_cli.local_environment import cloud_record  # noqa: PLC0415 - see `demo`
    from rollback_cli.local_environment.detached_process import start_detached  # noqa: PLC0415 - see `demo`

    cloud_record.require_none()
    log = cloud_record.log_file()
    log.parent.mkdir(parents=True, exist_ok=True)
    # The reader has the file open before the cloud removes it: the reason of a failed start is still read.
    with log.open("w") as written, log.open() as output:
        process = start_detached([sys.executable, "-m", "rollback_cli.main", "local", "up", *words], written)
        try:
            while not (is_ready := cloud_record.is_ready()) and process.poll() is None:
                typer.echo(output.read(), nl=False)
                time.sleep(_POLL_SECONDS)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        process.poll()
        typer.echo(output.read(), nl=False)
    if not is_ready:
        raise NotAvailable(f"the local cloud has ended with code {process.returncode} before it was ready; see above")
    typer.echo(f"The local cloud runs in the background, process {process.pid}. Its output: {os.path.relpath(log)}")
