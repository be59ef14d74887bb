"""A writer and a reader on the embedded cloud get new connections, through the adapters that the functions have."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contract.local_cloud.workload import CRASHING, Workload
from contract.real_ports import real_ports
from fakes.ledger import FakeLedger
from support.builders import SERVICE, release, rollback

from local_cloud.deployment.server import LocalCloud
from rollback.database.reconnection.step import reconnect
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DatabaseOutcome, OriginalBranch, RestorePoint, RestoreProgress
from rollback.domain.database.reconnection import ServiceConnection
from rollback.domain.plan import Plan
from rollback.domain.rollback import Rollback
from rollback.domain.service_progress import ServiceProgress
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.domain.settings.environment import ServiceSettings, Settings
from rollback.ports.all_ports import AllPorts

READER = "reports"
PING, RESET = ("pnpm", "db:ping"), ("pnpm", "db:reset-connection")
COMMANDS = {"commands": {" ".join(PING): {"says": "connected"}, " ".join(RESET): {"says": "reset"}}}


class Branch:
    """A branch whose data just changed: the writer stood at zero tasks and runs again, the reader ran on."""

    def __init__(self, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, **of_reader: Any) -> None:
        self.writer, self.reader = Workload(cloud, balanced=False), Workload(cloud, balanced=False)
        for workload in (self.writer, self.reader):
            workload.start_and_wait(workload.release("v1", COMMANDS), 1)
        services = (
            self._settings(SERVICE, self.writer, command=PING),
            self._settings(READER, self.reader, **of_reader),
        )
        database = DatabaseSettings(
            project_id="p", branch_id="br-1", writers=(SERVICE,), readers=(READER,), reconnect_timeout_minutes=1,
            api_key_secret_arn="arn:aws:secretsmanager:eu-west-1:123456789012:secret:neon-AbCdEf",
        )  # fmt: skip
        self.ledger = FakeLedger()
        settings = Settings(application="macro-ai", environment="production", services=services, database=database)
        self.ports: AllPorts = replace(real_ports(cloud, monkeypatch), settings=settings, ledger=self.ledger)
        now = datetime.now(UTC)
        lease = self.ledger.acquire(SERVICE, rollback().id, now, now + timedelta(hours=1))
        assert lease is not None
        original_branch = OriginalBranch(name="main", protected=False, id="br-1")
        progress = RestoreProgress(
            point=RestorePoint(at=now),
            started_at=now, before=original_branch, backup_id="br-2", accepted_at=now, verified_at=now,
            database_outcome=DatabaseOutcome.RESTORED, ended_at=now,
        )  # fmt: skip
        planned = DatabasePlan(strategy=Strategy.RESTORE, branch="br-1", reconnecting_services=(SERVICE, READER))
        self.document = rollback(
            created_at=now, admitted_at=now, lease_counter=lease.counter, settings=settings, database=progress,
            plan=Plan(running=release("v2"), target=release("v1"), checks=(), database=planned),
            service=ServiceProgress(started_at=now, escalation_level_since=now, done_at=now),
        )  # fmt: skip
        time.sleep(0.1)  # ECS reports times to the millisecond

    def _settings(self, name: str, of: Workload, **connection: Any) -> ServiceSettings:
        fields = {"name": name, "cluster": of.name, "ecs_service": of.name, "container": "app"}
        return ServiceSettings.model_validate({**fields, "connection": connection})

    def until_over(self) -> Rollback:
        until = time.monotonic() + 30
        while self.document.is_reconnection_due:
            assert time.monotonic() < until, self.document.reconnection
            self.document = reconnect(self.document, self.ports)
            time.sleep(0.1 if self.document.wait_seconds else 0)
        return self.document

    def of(self, name: str) -> ServiceConnection:
        reconnection = self.document.reconnection.of(name) if self.document.reconnection is not None else None
        assert reconnection is not None
        return reconnection


def task_arns(of: Workload) -> set[str]:
    return {str(task["taskArn"]) for task in of.tasks()}


def test_a_reader_gets_new_tasks_of_the_same_definition_and_the_writer_keeps_its_own(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    branch = Branch(cloud, monkeypatch, command=PING)
    original = branch.reader.primary()
    of_reader, of_writer = task_arns(branch.reader), task_arns(branch.writer)
    branch.until_over()
    now = branch.reader.primary()
    assert (now["taskDefinition"], now["rolloutState"]) == (original["taskDefinition"], "COMPLETED")
    assert branch.of(READER).deployment_id == now["id"] != original["id"]
    assert task_arns(branch.reader).isdisjoint(of_reader)
    assert task_arns(branch.writer) == of_writer
    for name in (SERVICE, READER):
        proof = branch.of(name).proof
        assert proof is not None
        assert proof.exit_code == 0
    caused = branch.ledger.caused_deployment(READER)
    assert caused is not None
    assert caused.deployment_id == now["id"]


def test_a_reader_s_own_command_runs_in_its_container_and_its_tasks_stay(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    branch = Branch(cloud, monkeypatch, reconnect_command=RESET)
    original, tasks = branch.reader.primary(), task_arns(branch.reader)
    branch.until_over()
    run = branch.of(READER).run
    assert run is not None
    assert run.exit_code == 0
    assert branch.reader.primary()["id"] == original["id"]
    assert task_arns(branch.reader) == tasks


def test_a_reader_whose_image_no_longer_starts_is_reported(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tag was pushed again: a new deployment resolves it anew, and that is how a reader's new tasks may fail."""
    branch = Branch(cloud, monkeypatch)
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    branch.reader.update(deploymentConfiguration=breaker)
    branch.reader.push("v1", CRASHING)
    branch.until_over()
    assert "its new deployment failed" in str(branch.of(READER).failure)
