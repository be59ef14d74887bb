"""`rollback drill ENV`: rehearse a rollback on a healthy service, and measure the recovery time."""

from typing import Annotated

import typer

from rollback_cli.operator_options import Environment, InProcess, RollbackReason, Service
from rollback_cli.start_and_follow import start_and_follow


def drill(
    environment: Environment,
    scenario: Annotated[
        str,
        typer.Option(
            help="service: deploy the running release once more; emergency: the same by one invocation; "
            "database: check the restore point on a preview branch"
        ),
    ] = "service",
    service: Service = None,
    reason: RollbackReason = "",
    wait: Annotated[bool, typer.Option(help="follow the drill to its end")] = True,
    in_process: InProcess = False,
) -> None:
    """Rehearse a rollback on a healthy service; no release and no data change.

    Exit code 0: the drill succeeded, or was started with --no-wait; 1: it failed; 3: it was refused.
    """
    options = {"type": scenario, "drill": True, "service": service, "reason": reason}
    start_and_follow(environment, options, in_process=in_process, yes=True, wait=wait)
