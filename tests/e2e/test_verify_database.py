"""Checks of the database in a running cloud: Verify invokes the database function, a command asks Postgres itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.conftest import POLICY, cloud_process, pointed_at
from e2e.live import DeployedEnvironment, wait_for
from e2e.processes import ROLLBACK, run

from rollback.check import Check, Verdict
from rollback.domain.rollback import Outcome
from rollback_cli.demo.database.migrations import check_out
from rollback_cli.demo.scenarios import SCENARIOS

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    with cloud_process(POLICY, with_database=True) as variables, pointed_at(variables):
        yield variables


@pytest.fixture(scope="module")
def deployed(variables: dict[str, str]) -> DeployedEnvironment:
    return DeployedEnvironment()


def _check_named(name: str, checks: tuple[Check, ...]) -> Check:
    return next(check for check in checks if check.name == name)


def test_a_rollback_has_the_database_checked_by_the_function_and_verify_asks_postgres_itself(
    deployed: DeployedEnvironment, variables: dict[str, str], tmp_path: Path
) -> None:
    migrations = SCENARIOS["bad-migration"].migrations
    assert migrations is not None
    deployed.migrate(check_out(tmp_path / "v1", migrations[0]))
    good = deployed.release()
    deployed.promote(good.version)
    deployed.release()
    deployed.invoke("database", {"detail-type": "Scheduled Event"})

    deployed.wait_until_ended(deployed.start({"reason": "by hand", "force": True}))

    newest = deployed.wait_until_concluded(lambda _: True)
    assert newest.outcome is Outcome.SUCCEEDED, newest.reason
    assert newest.verification is not None
    answers = _check_named("database-answers", newest.verification.checks)
    assert (answers.verdict, answers.reason.startswith("PostgreSQL")) == (Verdict.PASS, True), answers.reason
    wait_for(lambda: deployed.is_settled() or None)

    process = run([ROLLBACK, "verify", "production"], variables)

    assert process.returncode == 0, process.stdout
    assert "pass          database-answers: PostgreSQL" in process.stdout
