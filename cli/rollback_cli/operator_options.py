"""Options that several verbs share: the reason for the record, the service, and how a rollback is started."""

from typing import TYPE_CHECKING, Annotated

import typer

from rollback_cli import requester

if TYPE_CHECKING:
    from rollback.domain.operator import Operator

Environment = Annotated[str, typer.Argument(help="environment, such as production")]
RollbackId = Annotated[str, typer.Argument(help="id of a rollback, as `rollback history` lists it")]
Reason = Annotated[str, typer.Option("--reason", help="why; recorded in the ledger")]
Service = Annotated[
    str | None, typer.Option("--service", help="service; may be left out if the environment has only one")
]
# Options of the verbs that start a rollback.
OverrideChecks = Annotated[bool, typer.Option(help="override the checks that may be overridden")]
SkipConfirmation = Annotated[bool, typer.Option("--yes", help="don't ask for confirmation")]
DryRun = Annotated[bool, typer.Option(help="plan and report; change nothing")]
RollbackReason = Annotated[str, typer.Option(help="why; recorded with the rollback")]
InProcess = Annotated[bool, typer.Option("--direct", help="run the steps in this process, without Step Functions")]
DecideInProcess = Annotated[
    bool, typer.Option("--direct", help="store the decision from this process, without the function approve")
]


def make_operator(reason: str) -> "Operator":
    """Name the operator who runs the command, and the reason.

    Raises:
        InvalidRequest: the reason is empty or too long.
    """
    from rollback.domain.operator import Operator  # noqa: PLC0415 - pydantic takes a while to import

    return Operator(name=requester.requester_name(), reason=reason)
