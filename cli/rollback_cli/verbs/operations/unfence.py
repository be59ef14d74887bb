"""`rollback unfence ENV`: put back what a rollback changed and left to an operator."""

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
        bool, typer.Option(help="act beside a rollback in progress, and although a setting was changed since")
    ] = False,
) -> None:
    """Start the tasks again, restore the recorded scaling, and protect the branch again.

    Exit code 1: a part could not be put back yet; run the command again.
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
        print_paragraph(f"put back: {obligation}")
    for obligation in result.remaining:
        print_paragraph(f"NOT YET: {obligation}")
    print_paragraph(result.service_state)
    if result.remaining:
        print_paragraph(
            "Scaling is put back once the tasks run, the deployment configuration once the rollout is COMPLETED: run "
            "the command again then. If a branch could not be protected, protect it in Neon's console, and run the "
            "command again"
        )
        raise typer.Exit(1)
