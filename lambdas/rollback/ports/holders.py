"""Protocols of one port each. A package's `ports.py` composes from them the ports that its functions need.

    class ConnectionCheckPorts(HasHttp, HasSettings, Protocol):
        ...

A protocol may extend protocols of its package or of a package above it in the order of packages. Where Python can't put
the bases of two protocols into one order (MRO), a protocol lists the holders instead.

The record `rollback.ports.all_ports.AllPorts` satisfies every one of them.
"""

from typing import Protocol, Self

from rollback.domain.settings.environment import Settings
from rollback.ports.approval import TokenCipher
from rollback.ports.aws.alarms import Alarms
from rollback.ports.aws.cloudformation import Stacks
from rollback.ports.aws.ecs import Scaling, Services, Tasks
from rollback.ports.aws.elb import Targets
from rollback.ports.aws.references import Images, References, Secrets
from rollback.ports.aws.step_functions import Workflow
from rollback.ports.clock import Clock
from rollback.ports.database_checks import DatabaseChecks
from rollback.ports.github import GitHub
from rollback.ports.http import Http
from rollback.ports.identity import IdentityProofs
from rollback.ports.ledger import Ledger
from rollback.ports.neon import NeonProject
from rollback.ports.postgres import Sql
from rollback.ports.reporting import Events, Metrics, Notifications, ReportStore
from rollback.ports.webhooks import Webhooks
from rollback.resources.aws.account_and_region import AccountAndRegion


class HasSettings(Protocol):
    """Holder of the settings of the environment."""

    @property
    def settings(self) -> Settings:
        """The settings of the environment."""
        ...


class HasClock(Protocol):
    """Holder of the clock."""

    @property
    def clock(self) -> Clock:
        """The clock."""
        ...


class HasLedger(Protocol):
    """Holder of the ledger."""

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        ...


class HasServices(Protocol):
    """Holder of ECS services."""

    @property
    def services(self) -> Services:
        """ECS services."""
        ...


class HasTargetGroups(Protocol):
    """Holder of ELB target groups."""

    @property
    def target_groups(self) -> Targets:
        """ELB target groups."""
        ...


class HasScaling(Protocol):
    """Holder of Application Auto Scaling."""

    @property
    def scaling(self) -> Scaling:
        """Application Auto Scaling."""
        ...


class HasStacks(Protocol):
    """Holder of CloudFormation stacks."""

    @property
    def stacks(self) -> Stacks:
        """CloudFormation stacks."""
        ...


class HasSecrets(Protocol):
    """Holder of secrets and parameters."""

    @property
    def secrets(self) -> Secrets:
        """Secrets and parameters."""
        ...


class HasReferences(Protocol):
    """Holder of roles, log groups and files."""

    @property
    def references(self) -> References:
        """Roles, log groups and files."""
        ...


class HasImages(Protocol):
    """Holder of container images."""

    @property
    def images(self) -> Images:
        """Container images."""
        ...


class HasAlarms(Protocol):
    """Holder of CloudWatch alarms."""

    @property
    def alarms(self) -> Alarms:
        """CloudWatch alarms."""
        ...


class HasHttp(Protocol):
    """Holder of HTTP probes."""

    @property
    def http(self) -> Http:
        """HTTP probes."""
        ...


class HasNotifications(Protocol):
    """Holder of notification topics."""

    @property
    def notifications(self) -> Notifications:
        """Notification topics."""
        ...


class HasReportStore(Protocol):
    """Holder of stored reports."""

    @property
    def report_store(self) -> ReportStore:
        """Stored reports."""
        ...


class HasMetrics(Protocol):
    """Holder of metrics."""

    @property
    def metrics(self) -> Metrics:
        """Metrics."""
        ...


class HasEvents(Protocol):
    """Holder of the bus for events about rollbacks."""

    @property
    def events(self) -> Events:
        """The bus for events about rollbacks."""
        ...


class HasWebhooks(Protocol):
    """Holder of incoming webhooks."""

    @property
    def webhooks(self) -> Webhooks:
        """Incoming webhooks."""
        ...


class HasWorkflow(Protocol):
    """Holder of executions of the state machine."""

    @property
    def workflow(self) -> Workflow:
        """Executions of the state machine."""
        ...


class HasIdentityProofs(Protocol):
    """Holder of proofs of identity."""

    @property
    def identity_proofs(self) -> IdentityProofs:
        """Proofs of identity."""
        ...


class HasTokenCipher(Protocol):
    """Holder of the key that protects the tokens of waiting executions."""

    @property
    def token_cipher(self) -> TokenCipher:
        """The key that protects the tokens of waiting executions."""
        ...


class HasNeon(Protocol):
    """Holder of the Neon project."""

    @property
    def neon(self) -> NeonProject:
        """The Neon project."""
        ...


class HasSql(Protocol):
    """Holder of SQL on a branch."""

    @property
    def sql(self) -> Sql:
        """SQL on a branch."""
        ...


class HasDatabaseChecks(Protocol):
    """Holder of the checks of the database."""

    @property
    def database_checks(self) -> DatabaseChecks:
        """The checks of the database."""
        ...


class HasGitHub(Protocol):
    """Holder of the GitHub repository."""

    @property
    def github(self) -> GitHub:
        """The GitHub repository."""
        ...


class HasTasks(Protocol):
    """Holder of one-off ECS tasks."""

    @property
    def tasks(self) -> Tasks:
        """One-off ECS tasks."""
        ...


class HasAccountAndRegion(Protocol):
    """Holder of the account and region of this deployment."""

    @property
    def account_and_region(self) -> AccountAndRegion | None:
        """The account and region of this deployment; None if they are not known."""
        ...


class HasReadinessChecks(Protocol):
    """Holder of ports that a readiness check may ask with short timeouts."""

    def for_readiness_checks(self) -> Self:
        """Return the same ports, but a service that gave no answer is not asked again."""
        ...


class HasSettingsOfRollback(Protocol):
    """Holder of ports that can follow the settings of an open rollback."""

    def for_settings(self, settings: Settings | None) -> Self:
        """Return the same ports under the settings that an open rollback carries; None carries no settings."""
        ...
