"""Direct mode on a running cloud, while a service of AWS that the automation needs is down for everybody."""

import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from e2e.direct.conftest import Outage, Rollback
from e2e.direct.terminal_session import TerminalSession
from e2e.live import DeployedEnvironment, wait_for

from rollback.domain.releases.release import Release
from rollback.domain.rollback import Outcome

pytestmark = pytest.mark.e2e
START = "start production --direct --reason 'it is bad'"


def assert_rolled_back(deployed: DeployedEnvironment, output: str) -> None:
    newest = deployed.history()[0]
    assert newest.outcome is Outcome.SUCCEEDED, newest.reason
    assert newest.execution.startswith("direct:")
    assert f"Rollback {newest.id}: succeeded" in output
    assert deployed.ports.ledger.lease(deployed.service.name) is None


def test_a_direct_rollback_succeeds_with_step_functions_and_the_functions_refusing_every_call(
    deployed: DeployedEnvironment, good: Release, outage: Outage, rollback: Rollback
) -> None:
    deployed.release()
    with outage("stepfunctions"), outage("lambda"):
        ordinary = rollback("start production --reason 'it is bad'")
        direct = rollback(START)

    assert ordinary.returncode == 1
    assert "StartExecution" in ordinary.stdout
    assert direct.returncode == 0, direct.stdout
    assert_rolled_back(deployed, direct.stdout)


def test_a_direct_rollback_succeeds_with_eventbridge_gone_and_names_what_was_not_delivered(
    deployed: DeployedEnvironment, good: Release, outage: Outage, rollback: Rollback
) -> None:
    deployed.release()
    with outage("events"):
        direct = rollback(START)

    assert direct.returncode == 0, direct.stdout
    assert_rolled_back(deployed, direct.stdout)
    assert "Not delivered yet: " in direct.stdout
    assert "events" in direct.stdout.partition("Not delivered yet: ")[2]


def test_with_cloudformation_gone_the_saved_outputs_serve_the_operator(
    deployed: DeployedEnvironment, good: Release, outage: Outage, rollback: Rollback
) -> None:
    deployed.release()
    assert rollback("status production").returncode == 0  # saves the outputs
    with outage("cloudformation"):
        paused = rollback("pause production --reason 'CloudFormation is down'")
        direct = rollback(START)
        resumed = rollback("resume production --reason 'done'")

    for process in (paused, direct, resumed):
        assert process.returncode == 0, process.stdout
        assert "CloudFormation can't be asked, so this command uses the copy of the stack's outputs" in process.stdout
        assert re.search(r"\d+ minutes? old, for account 123456789012", process.stdout)
    assert_rolled_back(deployed, direct.stdout)


def test_with_dynamodb_gone_a_named_definition_is_deployed_and_the_ledger_learns_of_it_later(
    deployed: DeployedEnvironment, good: Release, outage: Outage, rollback: Rollback
) -> None:
    bad = deployed.release()
    earlier = {r.id for r in deployed.history()}
    deployed_definition = deployed.describe_service()["taskDefinition"]
    configuration = deployed.describe_service()["deploymentConfiguration"]
    with outage("dynamodb"):
        refused = rollback("start production --direct --no-ledger")
        deployed_directly = rollback(
            f"start production --direct --no-ledger --task-definition {good.definition_arn} --yes"
        )
        running = deployed.running_digests()

    assert refused.returncode == 2
    assert "--no-ledger needs --task-definition ARN" in refused.stdout
    assert deployed_directly.returncode == 0, deployed_directly.stdout
    assert running == {good.images[deployed.service.container].rpartition("@")[2]}
    service = deployed.describe_service()
    assert service["desiredCount"] == 2
    assert service["deploymentConfiguration"] == configuration
    assert service["taskDefinition"] != deployed_definition
    assert "no lease: another rollback of the service may run at the same time" in deployed_directly.stdout
    assert "Once DynamoDB answers again:" in deployed_directly.stdout

    quarantined = rollback(f"quarantine production {bad.version} --reason 'replaced while DynamoDB was down'")
    assert quarantined.returncode == 0, quarantined.stdout
    shown = wait_for(lambda: status if good.version in (status := rollback("status production").stdout) else None)
    assert "promoted" in shown
    assert {r.id for r in deployed.history()} == earlier


def test_with_dynamodb_gone_a_direct_start_names_the_way_without_the_ledger(
    deployed: DeployedEnvironment, good: Release, outage: Outage, rollback: Rollback
) -> None:
    original = deployed.state_summary()
    with outage("dynamodb"):
        process = rollback(START)

    assert process.returncode == 1
    assert "attempt 1 of 7 failed" in process.stdout
    assert "--direct --no-ledger --task-definition ARN" in process.stdout
    assert "Traceback" not in process.stdout
    assert deployed.state_summary() == original


def test_a_direct_rollback_goes_on_after_its_terminal_is_closed(
    deployed: DeployedEnvironment, good: Release, cloud: dict[str, str], cache: Path
) -> None:
    deployed.release()
    with TerminalSession(START, cloud) as session:
        session.wait_for("plan ")
        session.hang_up()
        code = session.end()
        (log,) = cache.glob("direct-*.log")
        output = log.read_text()

    assert code == 0, output
    assert_rolled_back(deployed, output)


def test_a_stopped_direct_rollback_is_ended_by_abort_and_followed_by_another_without_the_automation(
    deployed: DeployedEnvironment, good: Release, outage: Outage, rollback: Rollback, cloud: dict[str, str]
) -> None:
    deployed.release()
    with ExitStack() as down:
        for service in ("stepfunctions", "events", "lambda"):
            down.enter_context(outage(service))
        with TerminalSession(START, cloud) as session:
            session.wait_for("service ")
            session.interrupt()
            session.wait_for("The rollback goes on. Press Ctrl-C again to stop this process.")
            session.interrupt()
            code = session.end()
        stopped = deployed.history()[0]
        assert code == 130, session.output
        assert f"{stopped.id} (service, manual) holds the lease" in session.output
        assert stopped.concluded_at is None

        aborted = rollback(f"abort production {stopped.id} --reason 'its process is gone'")
        again = rollback(START)

    assert deployed.ports.ledger.read(stopped.service_name, stopped.id).outcome is Outcome.ABORTED, aborted.stdout
    assert again.returncode == 0, again.stdout
    assert_rolled_back(deployed, again.stdout)


def test_a_needed_approval_is_asked_on_the_terminal_and_refused_without_one(
    deployed: DeployedEnvironment, good: Release, outage: Outage, rollback: Rollback, cloud: dict[str, str]
) -> None:
    deployed.release()
    with outage("stepfunctions"), outage("events"), outage("lambda"):
        without_terminal = rollback(f"{START} --force")
        assert without_terminal.returncode == 1
        refused = deployed.history()[0]
        assert refused.outcome is Outcome.REFUSED, without_terminal.stdout
        assert "it needs an approval (forced), and the direct rollback has no terminal" in without_terminal.stdout

        with TerminalSession(f"{START} --force", cloud) as session:
            session.wait_for("To approve it here, type the name of the service, express-api")
            session.type_line("express-api")
            session.wait_for("Reason, for the record:")
            session.type_line("the plan is right")
            code = session.end()

    assert code == 0, session.output
    assert_rolled_back(deployed, session.output)
    approval = deployed.history()[0].approval
    assert approval is not None
    assert approval.decision is not None
    assert approval.decision.is_verified
    assert approval.decision.reason == "the plan is right"
