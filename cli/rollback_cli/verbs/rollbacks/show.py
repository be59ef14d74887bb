"""`rollback show ENV ID`: the report of one rollback."""

from rollback.domain.rollback import service_of
from rollback.errors import InvalidRequest
from rollback_cli import deployed_stack
from rollback_cli.display import print_report
from rollback_cli.operator_options import Environment, RollbackId
from rollback_cli.terminal_text import make_console


def show(environment: Environment, rollback_id: RollbackId) -> None:
    """Show the whole report of one rollback."""
    deployment = deployed_stack.find_deployment(environment)
    try:
        rollback = deployment.ports().ledger.read(service_of(rollback_id), rollback_id)
        print_report(make_console(), rollback, deployment.settings)
    except KeyError as error:
        raise InvalidRequest(
            f"there is no rollback {rollback_id}; `rollback history {environment}` lists the rollbacks"
        ) from error
