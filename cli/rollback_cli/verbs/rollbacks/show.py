"""`rollback show ENV ID`: the report of one rollback."""

from rollback.domain.rollback import service_of
from rollback.errors import InvalidRequest
from rollback_cli import deployed_stack
from rollback_cli.operator_options import Environment, RollbackId
from rollback_cli.output.formats import OutputFormat, TextOutput, print_text_or_data
from rollback_cli.output.rollbacks.shown import describe_rollback


def show(environment: Environment, rollback_id: RollbackId, output: TextOutput = OutputFormat.TABLE) -> None:
    """Show the whole report of one rollback."""
    deployment = deployed_stack.find_deployment(environment)
    try:
        rollback = deployment.ports().ledger.read(service_of(rollback_id), rollback_id)
    except KeyError as error:
        raise InvalidRequest(
            f"there is no rollback {rollback_id}; `rollback history {environment}` lists the rollbacks"
        ) from error
    document = describe_rollback(rollback, deployment.settings)
    print_text_or_data(document, output, document.report)
