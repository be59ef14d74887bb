"""Port to Step Functions."""

from collections.abc import Mapping
from typing import Any, Protocol

from rollback.effects import changes_state, reads


class Workflow(Protocol):
    """Executions of the state machine that runs rollbacks."""

    @changes_state
    def start(self, name: str, execution_input: Mapping[str, Any]) -> None:
        """Start an execution; an execution of that name that was already started counts as success.

        Raises:
            NotAvailable: this function does not know the state machine.
        """
        ...

    @reads
    def is_running(self, execution: str) -> bool:
        """Report whether an execution still runs; a forgotten execution and a direct-mode id do not run."""
        ...

    @changes_state
    def stop(self, execution: str, cause: str, error: str = "TakenOver") -> None:
        """Stop an execution, which ends as ABORTED with this error and cause.

        An ended execution, a forgotten one and a direct-mode id count as success.
        """
        ...

    @changes_state
    def send_task_success(self, token: str) -> bool:
        """End the wait of the execution that waits under a token.

        Returns:
            False: no execution waits under this token any more.
        """
        ...
