"""Scenario of two down-migrations as tasks of the running release, on fakes that keep state."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fakes.aws.ecs_tasks import FakeTasks
from faults.scenarios.crash import FaultInjector
from faults.scenarios.database import RestoreScenario
from support.builders import SERVICE, release

from rollback.check import Check, Verdict
from rollback.database.down_migrations.reconciler import run_down_migrations
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.plan import Plan
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration

KEPT, OLDER, NEWER = "0001_users", "0002_teams", "0003_nick"
_NUMBERS = {KEPT: 1, OLDER: 2, NEWER: 3}


def applied(tag: str) -> Migration:
    return Migration(hash=f"{_NUMBERS[tag]:064x}", created_at=_NUMBERS[tag])


class DownMigrationsScenario(RestoreScenario):
    """Journal of three migrations, of which the target knows only the first."""

    def __init__(
        self, outside: FaultInjector | None = None, settings: dict[str, Any] | None = None, **target: Any
    ) -> None:
        super().__init__(outside, **target)
        fields: dict[str, Any] = {
            "project_id": "fake",
            "branch_id": "br-1",
            "api_key_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:neon",
            "down_command": ("pnpm", "db:down", "{tag}"),
            "verify_command": ("pnpm", "db:verify"),
        }
        database = DatabaseSettings.model_validate({**fields, **(settings or {})})
        self.ran: list[str] = []
        self.tasks = FakeTasks(self.writers)
        self.tasks.commands = {
            **{f"pnpm db:down {tag}": self.step_down_command(tag) for tag in (OLDER, NEWER)},
            "pnpm db:verify": self._verify,
        }
        self.sql.journals[self.branch_id] = tuple(applied(tag) for tag in _NUMBERS)
        ports = replace(self.ports, settings=self.ports.settings.model_copy(update={"database": database}))
        self.ports = replace(ports, tasks=self._crashing_at_reads(self.tasks))
        self.check_tables(_fits_first_migration)
        self.plan = DatabasePlan(strategy=Strategy.DOWN_MIGRATIONS, branch=self.branch_id, migrations=(NEWER, OLDER))
        running = release("v2", definition_arn=self.definition_arn)
        planned = Plan(running=running, target=release("v1"), database=self.plan, checks=())
        self.ledger.save(self.document.evolve(plan=planned))

    @property
    def definition_arn(self) -> str:
        return self.writers.services[SERVICE].describe(self.ports.settings.service(SERVICE)).primary.definition_arn

    def _step(self, rollback: Rollback) -> Rollback:
        return run_down_migrations(rollback, self.plan, self.context, self.ports)

    def journal(self) -> list[int]:
        return [migration.created_at for migration in self.sql.journals[self.branch_id]]

    def step_down_command(self, tag: str, code: int = 0) -> Callable[[list[str]], int]:
        """Build the release's command, which removes the newest row of the journal or fails with a code."""

        def effect(log: list[str]) -> int:
            self.ran.append(tag)
            assert self.writers.desired_counts()[SERVICE] == 0, "the command runs without a fence"
            if code:
                log.append(f"could not connect to postgresql://owner:secret-1@host/app: {tag}")
                return code
            *rest, newest = self.sql.journals[self.branch_id]
            assert newest == applied(tag), "an older migration steps down before the newest"
            self.sql.journals[self.branch_id] = tuple(rest)
            log.append(f"stepped down {tag}")
            return 0

        return effect

    def _verify(self, log: list[str]) -> int:
        self.ran.append("verify")
        return 0


def _fits_first_migration(_schema: LiveSchema, journal: tuple[Migration, ...] | None) -> tuple[Check, ...]:
    fits = journal == (applied(KEPT),)
    verdict = Verdict.PASS if fits else Verdict.FAIL
    return (
        Check(name="target-fits-restored-schema", verdict=verdict, reason="the journal" if fits else "not the same"),
    )
