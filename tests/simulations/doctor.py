"""A healthy environment with a database for `rollback doctor`, into which a test plants one fault."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from fakes.aws_account import FakeAccount, arn
from simulations.database import DatabaseSimulation
from simulations.fake_ports import DEGRADED
from support.builders import SERVICE

from rollback.check import Verdict
from rollback.product_version import product_version
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.aws.account_and_region import AccountAndRegion
from rollback_cli.deployed_stack import DeployedStack
from rollback_cli.doctor.checks.events import RULES
from rollback_cli.doctor.diagnose import answer_all, diagnose
from rollback_cli.doctor.examination import Examination
from rollback_cli.doctor.finding import Finding
from rollback_cli.doctor.send_test_event import questions_by_test_event

STACK = "MacroAiProductionRollbackStack"
TASK_ROLE, EXECUTION_ROLE = (f"arn:aws:iam::123456789012:role/{name}" for name in ("task", "execution"))
LOG_GROUP, SECRET, FILES = "/ecs/api", arn("secretsmanager", "secret:api-AbCdEf"), "fs-0123456789abcdef0"
WORKFLOW = arn("states", "stateMachine:macro-ai-production-rollback")


@dataclass
class Patient:
    """The environment that the doctor examines.

    Attributes:
        skew: by how much this machine's clock is ahead.
        neon_projects: projects that the key lists; None: Neon refuses.
        version: the version that deployed the stack.
    """

    simulation: DatabaseSimulation
    account: FakeAccount
    skew: timedelta = timedelta(0)
    neon_projects: int | None = 1
    version: str | None = field(default_factory=product_version)

    @property
    def examination(self) -> Examination:
        deployment = DeployedStack(
            settings=self.simulation.ports.settings,
            ledger_table="ledger",
            topic_arn=arn("sns", "macro-ai-production-rollbacks"),
            critical_topic_arn=arn("sns", "macro-ai-production-rollbacks-critical"),
            workflow_arn=WORKFLOW,
            version=self.version,
        )
        return Examination(
            stack_name=STACK,
            deployment=deployment,
            ports=self.simulation.ports,
            aws=self.account,
            now=self.now,
            count_neon_projects=self._count_projects,
        )

    def now(self) -> datetime:
        return self.simulation.clock.now() + self.skew

    def _count_projects(self) -> int:
        from rollback.resources.database.errors import AccessRefused  # noqa: PLC0415

        if self.neon_projects is None:
            raise AccessRefused("Neon refused GET /projects: 403")
        return self.neon_projects

    def findings(self) -> list[Finding]:
        return diagnose(self.examination)

    def test_event(self) -> list[Finding]:
        return answer_all(questions_by_test_event(self.examination, lambda seconds: None))

    def objections(self) -> dict[str, Finding]:
        """Findings that are no pass, by the name of the check without the service's name."""
        found = (finding for finding in self.findings() if finding.verdict is not Verdict.PASS)
        return {finding.check.replace(f"-{SERVICE}", ""): finding for finding in found}

    def definitions(self) -> list[dict[str, Any]]:
        """All registered task definitions."""
        return list(self.simulation.services._definitions.values())


def healthy_patient() -> Patient:
    """v1 is promoted and v2 runs; every alarm is OK, and everything that the tasks need is there."""
    simulation = DatabaseSimulation()
    simulation.alarms.recover(DEGRADED)
    simulation.replace(account_and_region=AccountAndRegion.of_arn(WORKFLOW))
    patient = Patient(simulation, _account(simulation))
    prepare_standing_plan(SERVICE, simulation.ports)
    for definition in patient.definitions():
        _add_references(definition)
    references: Any = simulation.ports.references
    references.roles |= {TASK_ROLE, EXECUTION_ROLE}
    references.log_groups |= {("", LOG_GROUP)}
    patient.account.file_systems[FILES] = "available"
    return patient


def _account(simulation: DatabaseSimulation) -> FakeAccount:
    settings = simulation.ports.settings
    functions = {
        name: arn("lambda", f"function:{settings.prefix}-rollback-{name}") for name in ("report", "promote", "database")
    }
    arns = {"workflow": WORKFLOW, "promotion": arn("states", f"stateMachine:{settings.prefix}-promotion"), **functions}
    targets = {rule: tuple(arns[name] for name in names) for rule, names in RULES.items()}
    account = FakeAccount(settings, targets, simulation.services.target_groups[0])
    account.date = simulation.clock.now()
    return account


def _add_references(definition: dict[str, Any]) -> None:
    definition["taskRoleArn"], definition["executionRoleArn"] = TASK_ROLE, EXECUTION_ROLE
    definition["volumes"] = [{"name": "files", "efsVolumeConfiguration": {"fileSystemId": FILES}}]
    container = definition["containerDefinitions"][0]
    container["logConfiguration"] = {"logDriver": "awslogs", "options": {"awslogs-group": LOG_GROUP}}
    container["secrets"] = [{"name": "KEY", "valueFrom": SECRET}]


def with_settings(patient: Patient, **changes: Any) -> None:
    """Change the environment's settings; the functions keep the former ones."""
    simulation = patient.simulation
    simulation.ports = replace(simulation.ports, settings=simulation.ports.settings.model_copy(update=changes))
