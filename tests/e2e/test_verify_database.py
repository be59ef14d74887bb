"""A database in a running cloud: its checks, a drill of its restore, and a search for its secrets after a rollback."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from e2e.conftest import POLICY, WINDOW_MINUTES, cloud_process, pointed_at
from e2e.live import DeployedEnvironment, wait_for
from e2e.processes import ROLLBACK, run
from e2e.searched_places import (
    Inbox,
    contains,
    execution_histories,
    function_settings,
    ledger_items,
    log_events,
    stored_objects,
)

from local_cloud.elb.load import LoadGenerator
from rollback.check import Check, Verdict
from rollback.database.restore.next_action import RestoreMove
from rollback.domain.database.progress import DatabaseOutcome
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome, Rollback
from rollback_cli.demo.database.migrations import check_out
from rollback_cli.demo.pipeline import COPIED_FIELDS

pytestmark = pytest.mark.e2e
PARAMETER, PARAMETER_VALUE = "/canary/token", "c4n4ry-p4r4m3t3r"
REFUSED_KEY = "c4n4ry-r3fus3d-k3y"
READS_THE_DATABASE = {"reads": "SELECT id FROM users ORDER BY id LIMIT 5"}  # new tasks prove their connection by it


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    with cloud_process(POLICY, with_database=True) as variables, pointed_at(variables):
        yield variables


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the first migration, which every release of this file has."""
    return check_out(tmp_path_factory.mktemp("repository") / "migrations", 1)


@pytest.fixture(scope="module")
def deployed(variables: dict[str, str], repository: Path) -> DeployedEnvironment:
    """Environment whose one release runs, reads the database and is promoted; each test ships its own next one."""
    live = DeployedEnvironment()
    _give_tasks_a_parameter(live)
    _record_checkpoint(live, variables, repository)
    live.migrate(repository)
    _release_and_promote(live)
    return live


@pytest.fixture(scope="module")
def inbox(deployed: DeployedEnvironment) -> Inbox:
    return Inbox(deployed)


def _give_tasks_a_parameter(live: DeployedEnvironment) -> None:
    """Let the task definition that pipelines copy refer to a SecureString, and its execution role read it."""
    ssm, ecs = live.client("ssm"), live.client("ecs")
    ssm.put_parameter(Name=PARAMETER, Type="SecureString", Value=PARAMETER_VALUE)
    arn = ssm.get_parameter(Name=PARAMETER)["Parameter"]["ARN"]
    definition = live._definition()
    for container in definition["containerDefinitions"]:
        container["secrets"] = [*container.get("secrets", []), {"name": "API_TOKEN", "valueFrom": arn}]
    live.client("iam").put_role_policy(
        RoleName=definition["executionRoleArn"].rpartition("/")[2],
        PolicyName="reads-the-parameter",
        PolicyDocument='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ssm:GetParameters", '
        f'"Resource": "{arn}"}}]}}',
    )
    registered = ecs.register_task_definition(
        **{name: definition[name] for name in ("family", *COPIED_FIELDS) if definition.get(name)},
        containerDefinitions=definition["containerDefinitions"],
    )
    ecs.update_service(
        cluster=live.service.cluster,
        service=live.service.ecs_service,
        taskDefinition=registered["taskDefinition"]["taskDefinitionArn"],
    )


def _check_named(name: str, checks: tuple[Check, ...]) -> Check:
    return next(check for check in checks if check.name == name)


def _users(deployed: DeployedEnvironment) -> list[tuple[Any, ...]]:
    with psycopg.connect(deployed.connection_uri()) as session:
        return session.execute("SELECT * FROM users ORDER BY id").fetchall()


def _record_checkpoint(deployed: DeployedEnvironment, variables: dict[str, str], folder: Path) -> None:
    """Record the next release's migrations and the database's position, as a pipeline does."""
    options = ["--version", deployed.next_version(), "--migrations", str(folder)]
    process = run([ROLLBACK, "checkpoint", "production", *options], variables)
    assert process.returncode == 0, process.stdout


def _run(deployed: DeployedEnvironment, execution_input: dict[str, Any]) -> Rollback:
    execution = deployed.start(execution_input)
    return deployed.wait_until_concluded(lambda r: r.execution == execution)


def _release_and_promote(deployed: DeployedEnvironment) -> None:
    """Ship a release, and promote it once the database was observed: promotion records the observed schema."""
    release = deployed.release(READS_THE_DATABASE)
    deployed.invoke("database", {"detail-type": "Scheduled Event"})
    deployed.promote(release.version)


def _ship_candidate(deployed: DeployedEnvironment, variables: dict[str, str], folder: Path) -> None:
    """Ship a release with a checkpoint before it, and leave it unpromoted, so that a rollback moves away from it."""
    _record_checkpoint(deployed, variables, folder)
    deployed.release(READS_THE_DATABASE)
    deployed.invoke("database", {"detail-type": "Scheduled Event"})


def test_a_rollback_has_the_database_checked_by_the_function_and_verify_asks_postgres_itself(
    deployed: DeployedEnvironment, variables: dict[str, str], repository: Path
) -> None:
    _ship_candidate(deployed, variables, repository)

    deployed.wait_until_ended(deployed.start({"reason": "by hand", "force": True}))

    newest = deployed.wait_until_concluded(lambda _: True)
    assert newest.outcome is Outcome.SUCCEEDED, newest.reason
    assert newest.verification is not None
    answers = _check_named("database-answers", newest.verification.checks)
    assert (answers.verdict, answers.reason.startswith("PostgreSQL")) == (Verdict.PASS, True), answers.reason
    wait_for(lambda: deployed.is_settled() or None)

    process = run([ROLLBACK, "verify", "production"], variables)

    assert process.returncode == 0, process.stdout
    assert "\tdatabase-answers\tpass\tPostgreSQL" in process.stdout


def test_a_drill_of_the_database_checks_a_preview_and_leaves_nothing_behind(
    deployed: DeployedEnvironment, variables: dict[str, str], repository: Path
) -> None:
    _record_checkpoint(deployed, variables, repository)
    _release_and_promote(deployed)
    old_at = datetime.now(UTC) + timedelta(minutes=WINDOW_MINUTES)
    wait_for(lambda: datetime.now(UTC) > old_at and set(deployed.alarm_states().values()) == {"OK"})
    deployed.wait_for_target()
    neon, ledger, name = deployed.ports.neon, deployed.ports.ledger, deployed.service.name
    branches = [(branch.id, branch.name, branch.protected) for branch in neon.branches()]
    service, uri, users = deployed.describe_service(), deployed.connection_uri(), _users(deployed)

    process = run([ROLLBACK, "drill", "production", "--scenario", "database"], variables)

    drill = deployed.wait_until_concluded(lambda r: r.is_drill)
    assert process.returncode == 0, process.stdout
    assert (drill.outcome, drill.request.type) == (Outcome.SUCCEEDED, RollbackType.DATABASE), drill.reason
    assert drill.database is not None
    assert drill.database.database_outcome is DatabaseOutcome.REHEARSED
    moves = [RestoreMove.CREATE_PREVIEW, RestoreMove.CHECK_PREVIEW, RestoreMove.DELETE_PREVIEW, RestoreMove.DONE]
    assert [move for move in drill.database.moves if move in moves] == moves
    assert [(branch.id, branch.name, branch.protected) for branch in neon.branches()] == branches
    assert (drill.open_obligations(), drill.left_to_operator(), ledger.obligations(name).items) == ((), (), ())
    assert ledger.lease(name) is None
    assert deployed.describe_service()["deployments"] == service["deployments"]
    assert (deployed.connection_uri(), _users(deployed)) == (uri, users)
    last_drill = ledger.last_drill(name)
    assert last_drill is not None
    assert (last_drill.rollback_id, last_drill.scenario) == (drill.id, RollbackType.DATABASE)
    deletion = "Preview branch of the drill deleted"
    account = run([ROLLBACK, "report", "production", drill.id], variables)
    assert (account.returncode, deletion in account.stdout) == (0, True), account.stdout
    wait_for(lambda: any(drill.id in text and deletion in text for text in stored_objects(deployed)) or None)


def test_no_secret_is_in_anything_that_rollbacks_of_the_database_write(
    deployed: DeployedEnvironment, variables: dict[str, str], repository: Path, inbox: Inbox
) -> None:
    _ship_candidate(deployed, variables, repository)
    database = deployed.ports.settings.database
    assert database is not None
    store, key_arn = deployed.client("secretsmanager"), database.api_key_secret_arn
    key = store.get_secret_value(SecretId=key_arn)["SecretString"]

    store.put_secret_value(SecretId=key_arn, SecretString=REFUSED_KEY)
    in_stores = [store.get_secret_value(SecretId=key_arn)["SecretString"]]
    failed = _run(deployed, {"type": "full", "force": True, "reason": "while Neon refuses the key"})
    store.put_secret_value(SecretId=key_arn, SecretString=key)
    assert deployed.service.base_url is not None
    with LoadGenerator(deployed.service.base_url):  # its requests let the new tasks connect to the restored branch
        restored = _run(deployed, {"type": "full", "force": True, "reason": "with the right key"})

    assert failed.outcome not in {None, Outcome.SUCCEEDED}, failed.reason
    assert "401" in failed.model_dump_json()
    assert restored.outcome is Outcome.SUCCEEDED, restored.reason
    assert restored.database is not None
    assert RestoreMove.RESTORE in restored.database.moves
    in_stores += [
        store.get_secret_value(SecretId=key_arn)["SecretString"],
        deployed.connection_uri(),
        deployed.client("ssm").get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]["Value"],
    ]
    password = unquote(urlsplit(deployed.connection_uri()).password or "")
    canaries = (REFUSED_KEY, key, password, PARAMETER_VALUE)
    assert [contains(text, canary) for text, canary in zip(in_stores, canaries, strict=True)] == [True] * 4

    ids = (failed.id, restored.id)
    verbs = [("status",), *((verb, i) for verb in ("show", "report") for i in ids), ("report", restored.id, "--json")]
    commands = [run([ROLLBACK, verb[0], "production", *verb[1:]], variables) for verb in verbs]
    assert [process.returncode for process in commands] == [0] * len(commands)
    places = {
        "logs": [f"{group}: {message}" for group, message in log_events(deployed)],
        "messages": inbox.bodies(),
        "ledger": list(ledger_items(deployed)),
        "executions": [f"{machine}: {event}" for machine, event in execution_histories(deployed)],
        "stored reports": list(stored_objects(deployed)),
        "command": [process.stdout for process in commands],
    }
    missing = [(place, i) for place, texts in places.items() for i in ids if not any(i in text for text in texts)]
    assert missing == []  # each place was searched, and has what both rollbacks wrote
    prefix = deployed.ports.settings.prefix
    for function in ("database", "service", "report"):
        assert any(text.startswith(f"/aws/lambda/{prefix}-rollback-{function}: ") for text in places["logs"]), function
    assert len({event.partition(": ")[0] for event in places["executions"]}) == 2
    places["function settings"] = list(function_settings(deployed))
    assert [
        (place, number)
        for place, texts in places.items()
        for number, canary in enumerate(canaries)
        if any(contains(text, canary) for text in texts)
    ] == []
