"""`rollback check-deploy ENV --image REF`: for pipelines, before they deploy."""

from typing import Annotated

import typer

from rollback.operations.deploy_check import check_deploy as ask
from rollback_cli import deployed, lever


def check_deploy(
    environment: str,
    image: Annotated[str, typer.Option(help="by tag or digest")],
    service: lever.Service = None,
) -> None:
    """May this image be deployed? Exit code 0: yes; 1: no, a rollback left it or is going on; 2: it can't be told."""
    here = deployed.find(environment)
    answer = ask(here.settings.service_or_only(service).name, image, here.world())
    lever.print_paragraph(answer.why)
    if not answer.allowed:
        raise typer.Exit(1)
