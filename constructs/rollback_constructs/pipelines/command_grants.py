"""Grants of the commands: what a person or a job needs to read, to start, to decide and to deploy.

`tests/constructs/pipelines` compares the grants with the calls that the commands can make.
"""

from dataclasses import dataclass

from rollback.domain.settings.environment import Settings
from rollback.names import database_function
from rollback_constructs.functions.access import Access, Grant


@dataclass(frozen=True)
class CommandResources:
    """Names and ARNs of what the commands use.

    Attributes:
        stack_name: name of the stack whose outputs the commands read.
        approve_name: name of the function that takes decisions; None where no rollback waits for one.
        report_bucket_arn: bucket of the stored reports; None where reports are not stored.
    """

    stack_name: str
    table_arn: str
    workflow_name: str
    approve_name: str | None
    report_bucket_arn: str | None


@dataclass(frozen=True)
class CommandGrants:
    """Statements of IAM policies by command."""

    access: Access
    settings: Settings
    resources: CommandResources

    def report(self) -> list[Grant]:
        """Return the grants of `rollback report`."""
        return [
            self.access.outputs_read(self.resources.stack_name),
            self.access.ledger_read(self.resources.table_arn),
            self.access.reports_read(self.resources.report_bucket_arn),
            self.access.ecs_read(),
            self.access.metrics_read(),
            self.access.target_groups(),
        ]

    def read(self) -> list[Grant]:
        """Return the grants of the verbs that read, such as `status`, `history` and `verify`."""
        return [
            *self.report(),
            self.access.ledger_query(self.resources.table_arn),
            self.access.execution_read(self.resources.workflow_name),
            *self.verify(),
        ]

    def start(self) -> list[Grant]:
        """Return the grants of `rollback start`, which looks up the release that it is given by name."""
        workflow = self.resources.workflow_name
        return [
            self.access.execution_start(workflow),
            self.access.execution_read(workflow),
            self.access.ledger_query(self.resources.table_arn),
        ]

    def notes(self) -> list[Grant]:
        """Return the grant to note an item of the ledger that can't be read."""
        return [self.access.ledger_notes(self.resources.table_arn, "UNREADABLE")]

    def approve(self) -> list[Grant]:
        """Return the grants of `rollback approve` and `reject`; none where no rollback waits for a decision."""
        name = self.resources.approve_name
        return [self.access.function_invoke(name)] if name is not None else []

    def deploy(self) -> list[Grant]:
        """Return the grants of `rollback-deploy-image`."""
        return [self.access.definition_register(), self.access.service_update()]

    def verify(self) -> list[Grant]:
        """Return the grants of `rollback check-deploy` and `rollback verify`."""
        access = self.access
        labels = [access.image_labels()] if self.settings.reads_labels else []
        database = [access.function_invoke(database_function(self.settings.prefix))] if self.settings.database else []
        return [
            access.images_read(),
            *labels,
            access.tasks_read(),
            access.alarm_states(),
            access.target_health(),
            *database,
        ]

    def checkpoint(self) -> list[Grant]:
        """Return the grants of `rollback checkpoint`, where there is a database."""
        database = self.settings.database
        if database is None:
            return []
        return [
            self.access.secret_read(database.api_key_secret_arn),
            self.access.ledger_notes(self.resources.table_arn, "BRANCH#*"),
        ]
