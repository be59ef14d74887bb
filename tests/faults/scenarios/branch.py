"""Scenarios that recreate or delete a pull request's branch, on fakes that keep state, with a crash at any call."""

from dataclasses import replace
from typing import Any

from fakes.aws.secrets import FakeSecrets
from faults.scenarios.crash import FaultInjector
from faults.scenarios.database import STAGED, RestoreScenario
from pydantic import SecretStr

from rollback.database.delete.reconciler import delete
from rollback.database.recreate.reconciler import recreate
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import backup_name
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.resources.database.connection_secret import SecretKeys, has_uri
from rollback.resources.database.neon import Branch

NAME, PATTERN = "preview/pr-42", "preview/pr-{pr}"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:pr-42-AbCdEf"
KEY, OTHER = "DATABASE_URL", "SESSION_KEY"


class PullRequestScenario(RestoreScenario):
    """Branch of main with a row of its own; a secret holds its address and another key."""

    strategy: Strategy

    def __init__(
        self, outside: FaultInjector | None = None, settings: dict[str, Any] | None = None, **target: Any
    ) -> None:
        super().__init__(outside, **target)
        fields: dict[str, Any] = {
            "project_id": "fake",
            "branch_pattern": PATTERN,
            "api_key_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:neon",
            "source_branch_id": "br-source",
            "connection_secret_arn": SECRET,
            "connection_secret_key": KEY,
        }
        database = DatabaseSettings.model_validate({**fields, **(settings or {})})
        self.secrets = FakeSecrets()
        self.before = self.neon.connection_uri(self.branch_id, "app", "owner").get_secret_value()
        self.secrets.values[SECRET] = SecretStr(f'{{"{OTHER}": "kept", "{KEY}": "{self.before}"}}')
        ports = replace(self.ports, settings=self.ports.settings.model_copy(update={"database": database}))
        self.ports = replace(ports, secrets=self._crashing(self.secrets))
        self.plan = DatabasePlan(strategy=self.strategy, branch=NAME, source_branch_id=self.source_id)

    def _prepare_branch(self, main_id: str) -> str:
        self.source_id = main_id
        created = self.neon.create_branch(NAME, main_id, with_endpoint=True)
        self.neon.settle()
        self.neon.write(created.branch.id, STAGED)
        return created.branch.id

    def without_writers(self) -> None:
        """Let the scenario fence no service."""
        self.context = replace(self.context, settings=self.real.settings.model_copy(update={"writers": ()}))

    @property
    def named(self) -> Branch | None:
        """Branch that has the name now."""
        return self.neon.branch_named(NAME)

    @property
    def old(self) -> Branch | None:
        return self.neon.branch(self.branch_id)

    @property
    def secret(self) -> str:
        return self.secrets.values[SECRET].get_secret_value()

    def secret_has_address_of(self, branch_id: str) -> bool:
        address = self.neon.connection_uri(branch_id, "app", "owner")
        return f'"{OTHER}": "kept"' in self.secret and has_uri(
            self.secrets.values[SECRET], SecretKeys(address=KEY), address
        )


class RecreateScenario(PullRequestScenario):
    strategy = Strategy.RECREATE

    def _step(self, rollback: Rollback) -> Rollback:
        return recreate(rollback, self.plan, self.context, self.ports)


class DeleteScenario(PullRequestScenario):
    strategy = Strategy.DELETE

    def _step(self, rollback: Rollback) -> Rollback:
        return delete(rollback, self.plan, self.context, self.ports)


def backup_of(scenario: PullRequestScenario) -> str:
    return backup_name(scenario.id)
