"""Run a rollback in this process and show it: progress, questions, what an interruption would leave, and the report."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import typer

from rollback.domain.rollback import Rollback, service_of
from rollback.errors import ExternalServiceError, RollbackError
from rollback.leases.takeover import describe_takeover_state
from rollback.ports.all_ports import AllPorts
from rollback.workflow.route import Step
from rollback.workflow.runner import Cursor
from rollback_cli.deployed_stack import DeployedStack
from rollback_cli.direct import run
from rollback_cli.direct.approval import ApprovalAtTerminal
from rollback_cli.direct.terminal import StandardTerminal, Stopped
from rollback_cli.direct.undelivered import describe_undelivered
from rollback_cli.display import print_report
from rollback_cli.sign_proof import with_proof


def follow_directly(
    execution_input: Mapping[str, Any], service: str, deployment: DeployedStack, *, is_on_stderr: bool = False
) -> Rollback:
    """Run a rollback to its end in this process, print its report, and return the rollback.

    Args:
        execution_input: fields of the request.
        service: name of the service.
        deployment: the environment.
        is_on_stderr: print on standard error, since standard output is for a document.

    Raises:
        RollbackError: the rollback could not begin, or a step failed for good.
        typer.Exit: the operator stopped the process; the text says what is left.
    """
    return _DirectRun(deployment, service, StandardTerminal(is_on_stderr=is_on_stderr)).follow(execution_input)


class _DirectRun:
    """One rollback in this process, and the last that is known of it."""

    def __init__(self, deployment: DeployedStack, service: str, terminal: StandardTerminal) -> None:
        self._deployment = deployment
        self._service = service
        self._ports: AllPorts = deployment.ports()
        self._terminal = terminal
        self._cursor: Cursor | None = None

    def follow(self, execution_input: Mapping[str, Any]) -> Rollback:
        say = self._terminal.say
        with self._terminal.outlive(self._describe_stop):
            if self._terminal.is_present:
                say(f"If this terminal closes, the rollback goes on, and its output goes to {self._terminal.log}")
            try:
                cursor = run.run_directly(
                    execution_input,
                    self._ports,
                    self._show_progress,
                    add_proof=with_proof,
                    on_retry=say,
                    wait_at_gate=ApprovalAtTerminal(self._ports, self._terminal, say).wait,
                )
                rollback = self._ports.ledger.read(service_of(cursor.rollback_id), cursor.rollback_id)
                self._terminal.show(lambda console: print_report(console, rollback, self._deployment.settings))
                for line in describe_undelivered(rollback, self._ports):
                    say(line)
            except Stopped as stop:
                say(f"This process was stopped. {self._describe_state()}")
                raise typer.Exit(stop.exit_code) from stop
            except ExternalServiceError as failure:
                raise ExternalServiceError(f"{failure}. {self._describe_failure()}") from failure
        return rollback

    def _show_progress(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._terminal.say(f"{cursor.next.replace('_', ' '):9} {cursor.summary}")

    def _describe_stop(self) -> str:
        """Describe what a stop leaves behind, from what this process knows."""
        settings = self._deployment.settings
        if self._cursor is None:
            return (
                "This process has not heard yet that the rollback is recorded; `rollback status "
                f"{settings.environment}` shows whether it is"
            )
        rollback_id, environment = self._cursor.rollback_id, settings.environment
        if self._cursor.next is Step.APPROVE:
            return (
                f"{rollback_id} then waits for an approval, without a lease, and no process follows a decision. "
                f"`rollback abort {environment} {rollback_id} --reason '…'` ends it. Otherwise the janitor does, once "
                "the time for a decision is over"
            )
        return (
            f"{rollback_id} then stays as it is, at the step {self._cursor.next}. Its lease ends within "
            f"{settings.policy.lease_minutes:g} minutes, and then the janitor concludes it. Without the janitor: "
            f"`rollback abort {environment} {rollback_id} --reason '…'` concludes it; `rollback start {environment} "
            f"--service {self._service} --direct` continues it after its lease has ended"
        )

    def _describe_state(self) -> str:
        """Describe what is left behind, from the ledger if it answers."""
        text = self._describe_stop()
        if self._cursor is None:
            return text
        with suppress(RollbackError, KeyError):
            rollback = self._ports.ledger.read(self._service, self._cursor.rollback_id)
            if rollback.concluded_at is not None:
                return f"{rollback.id} is concluded: {rollback.outcome}"
            return f"{describe_takeover_state(rollback)}. {text}"
        return f"The ledger could not be asked for its state. {text}"

    def _describe_failure(self) -> str:
        """Say what to do after a step that failed for good: without the ledger, how to do without it."""
        environment = self._deployment.settings.environment
        try:
            self._ports.ledger.lease(self._service)
        except RollbackError:
            state = "" if self._cursor is None else f"{self._describe_stop()}. "
            return (
                f"{state}The ledger can't be reached. To deploy a known task definition without it: `rollback start "
                f"{environment} --service {self._service} --direct --no-ledger --task-definition ARN`"
            )
        return self._describe_state()
