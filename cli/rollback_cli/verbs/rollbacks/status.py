"""`rollback status ENV`: the running release, the rollback target, and the checks against a rollback."""

from functools import partial

from rollback_cli import deployed_stack
from rollback_cli.operator_options import Environment
from rollback_cli.output.formats import Output, OutputFormat, print_document


def status(environment: Environment, output: Output = OutputFormat.TABLE) -> None:
    """Show, for each service, what runs, whether a rollback could start now, and what an operator has to do."""
    deployment = deployed_stack.find_deployment(environment)
    # After the first request: these imports take most of a second.
    from rollback_cli.output.status.document import Status  # noqa: PLC0415
    from rollback_cli.output.status.lines import print_status, status_records  # noqa: PLC0415
    from rollback_cli.output.status.read import read_status  # noqa: PLC0415

    ports = deployment.ports()
    services = tuple(read_status(service, ports) for service in deployment.settings.services)
    document = Status(environment=environment, services=services)
    print_document(
        document, output, in_terminal=partial(print_status, document), records=partial(status_records, document)
    )
