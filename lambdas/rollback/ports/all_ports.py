"""The record of all ports. Adapters (`rollback.adapters`) and the tests' fakes implement them.

A function names the ports it needs by a protocol of its package's `ports.py`, or by one holder of `ports.holders`.
The runner, the emergency, the janitor and the handlers name `AllPorts`, because they run every step.

Every method of a port may raise these errors:
    ExternalServiceError: the outcome is unknown. Check its effect before sending the call again.
    Throttled: nothing was done. The same call may be sent again.
    CallRefused: the call is refused for good. Don't send it again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

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


@dataclass(frozen=True)
class OptionalPorts:
    """Ports that an emergency or a readiness check can do without, on clients with short timeouts."""

    target_groups: Targets
    scaling: Scaling
    stacks: Stacks
    secrets: Secrets
    references: References
    images: Images
    alarms: Alarms
    workflow: Workflow


@dataclass(frozen=True)
class AllPorts:
    """All ports of one environment.

    Attributes:
        neon: raises InvalidRequest where the environment has no database; so does `sql`.
        github: raises InvalidRequest where the environment reports nothing to GitHub.
        neon_of: makes the Neon port for other settings; None means that `neon` serves all settings.
        emergency_ports: makes the optional ports of an emergency; None keeps the usual timeouts.
        readiness_ports: makes the optional ports of a readiness check; None keeps the usual timeouts.
        account_and_region: account and region of this deployment; None means that they are not known.
    """

    settings: Settings
    clock: Clock
    ledger: Ledger
    services: Services
    target_groups: Targets
    scaling: Scaling
    stacks: Stacks
    secrets: Secrets
    references: References
    images: Images
    alarms: Alarms
    http: Http
    notifications: Notifications
    metrics: Metrics
    workflow: Workflow
    neon: NeonProject
    sql: Sql
    tasks: Tasks
    database_checks: DatabaseChecks
    token_cipher: TokenCipher
    identity_proofs: IdentityProofs
    github: GitHub
    report_store: ReportStore
    events: Events
    webhooks: Webhooks
    neon_of: Callable[[Settings], NeonProject] | None = None
    emergency_ports: Callable[[], OptionalPorts] | None = None
    readiness_ports: Callable[[], OptionalPorts] | None = None
    account_and_region: AccountAndRegion | None = None

    def with_short_timeouts(self) -> Self:
        """Return the same ports for one invocation, but optional evidence gets one attempt and two seconds."""
        if self.emergency_ports is None:
            return self
        return replace(self, **vars(self.emergency_ports()), emergency_ports=None)

    def for_readiness_checks(self) -> Self:
        """Return the same ports for one readiness check, but a service that gave no answer is not asked again."""
        return replace(self, **vars(self.readiness_ports())) if self.readiness_ports is not None else self

    def for_settings(self, settings: Settings | None) -> Self:
        """Return the same ports under the settings that an open rollback carries; None carries no settings."""
        if settings is None or settings == self.settings:
            return self
        neon = self.neon_of(settings) if self.neon_of is not None else self.neon
        return replace(self, settings=settings, neon=neon)
