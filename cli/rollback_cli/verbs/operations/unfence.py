"""`rollback unfence ENV`: restore the settings that a rollback changed and left to an operator."""

from typing import Annotated

import typer

from rollback.leases.holder import describe_holder, find_live_lease
from rollback.operations import unfence as operation
from rollback_cli import deployed_stack
from rollback_cli.operator_options import Environment, Reason, Service, make_operator
from rollback_cli.terminal_text import print_paragraph


def unfence(
    environment: Environment,
    reason: Reason,
    service: Service = None,
    force: Annotated[
        bool,
        typer.Option(
            help="act although a rollback is in progress, or although a setting was changed after the rollback"
        ),
    ] = False,
) -> None:
    """Start the tasks again, restore the recorded scaling, and protect the branch again.

    Exit code 1: a setting could not be restored yet; run the command again.
    """
    deployment, operator = deployed_stack.find_deployment(environment), make_operator(reason)
    ports = deployment.ports()
    # A service that the settings no longer have may still have obligations.
    name = service or deployment.settings.service_or_only(None).name
    lease = find_live_lease(name, ports)
    if lease is not None and force:
        print_paragraph(describe_holder(lease, ports))
    result = operation.unfence(name, operator, ports, force=force)
    for obligation in result.discharged:
        print_paragraph(f"restored: {obligation}")
    for obligation in result.remaining:
        print_paragraph(f"not restored yet: {obligation}")
    print_paragraph(result.service_state)
    if result.remaining:
        print_paragraph(
            "Scaling can be restored once the tasks run, the deployment configuration once the rollout is COMPLETED. "
            "If a branch could not be protected, protect the branch in Neon's console. Then run rollback unfence "
            f"{environment} --service {name} --reason '…'"
        )
        raise typer.Exit(1)
