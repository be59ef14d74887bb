"""`rollback versions ENV`: the releases that the ledger knows, with the evidence for and against each."""

from functools import partial
from typing import Annotated

import typer

from rollback_cli import deployed_stack
from rollback_cli.operator_options import Environment
from rollback_cli.output.formats import Output, OutputFormat, print_document
from rollback_cli.output.versions.document import Versions
from rollback_cli.output.versions.listing import print_versions, version_records
from rollback_cli.output.versions.read import read_versions
from rollback_cli.shell import names_cache


def versions(
    environment: Environment,
    limit: Annotated[int, typer.Option(min=1, help="most releases to list for each service")] = 50,
    output: Output = OutputFormat.TABLE,
) -> None:
    """List the known releases of each service, newest first: their states, and whether ECR still has their images."""
    deployment = deployed_stack.find_deployment(environment)
    ports = deployment.ports()
    services = tuple(read_versions(service, limit, ports) for service in deployment.settings.services)
    names_cache.remember(environment, versions=[release.version for s in services for release in s.releases])
    document = Versions(environment=environment, limit=limit, services=services)
    print_document(
        document, output, in_terminal=partial(print_versions, document), records=partial(version_records, document)
    )
