"""People of the demo: each has a role of the embedded IAM, and decides with the command as a person would."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback.domain.rollback import Rollback
from rollback_cli.demo.database.seed import BAD_RELEASE_NAME
from rollback_cli.demo.profile import ENVIRONMENT
from rollback_cli.demo.timeline.timeline import Timeline
from rollback_cli.demo.waiting import ExpectationFailed, wait_until

if TYPE_CHECKING:  # see `expected_outcomes`
    from rollback_cli.demo.environment import DemoEnvironment

ROLE_NAME = "demo-on-call"
_REASON = "support needs the dropped column"
_COUNT_BAD_ROWS = "SELECT count(*) FROM users WHERE name = %s"


@dataclass(frozen=True)
class Person:
    """A person with temporary credentials of the role of those on call.

    Attributes:
        name: name of the person, which is the name of the role's session.
        variables: environment variables of the person's terminal.
    """

    name: str
    variables: dict[str, str]

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run the command `rollback` to its end."""
        from local_cloud.processes import child_processes  # noqa: PLC0415 - see `demo`

        return child_processes.run(_command(*words), env=self.variables)

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Begin the command `rollback`, which ends with the demo at the latest."""
        from local_cloud.processes import child_processes  # noqa: PLC0415 - see `demo`

        return child_processes.start(
            _command(*words), env=self.variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


def two_people_decide(environment: "DemoEnvironment", timeline: Timeline) -> None:
    """Let Ada start a full rollback and try to approve it herself; then let Ben approve it.

    Raises:
        ExpectationFailed: a decision had another result than it must have.
    """
    _wait_for_damage(environment)
    ada, ben = (_hire(name, environment) for name in ("ada", "ben"))
    timeline.say(f"ada starts a full rollback by hand: {_REASON}", "head")
    ada.begin("start", ENVIRONMENT, "--type", "full", "--yes", "--reason", _REASON)
    rollback = wait_until("the rollback waits for an approval", lambda: _find_waiting(environment), 120)
    decide = ("approve", ENVIRONMENT, rollback.id, "--reason", "the plan loses only rows of v1.1.0")
    _expect(ada.run(*decide), 1, "ada tries to approve her own rollback", timeline)
    _expect(ben.run(*decide), 0, "ben approves", timeline)


def _wait_for_damage(environment: "DemoEnvironment") -> None:
    """Wait until v1.1.0 runs alone and has written rows that v1.0.0 would not write."""
    database = environment.database
    if database is None:
        raise ExpectationFailed("this scenario needs a database")
    wait_until("v1.1.0 runs", environment.is_settled, 120)

    def has_bad_rows() -> bool:
        return bool(database.query(database.branch_id, _COUNT_BAD_ROWS, BAD_RELEASE_NAME)[0][0])

    wait_until("v1.1.0 has written to the database", has_bad_rows, 60)


def _find_waiting(environment: "DemoEnvironment") -> Rollback | None:
    history = environment.ports.ledger.history(environment.service.name)
    return next((rollback for rollback in history if rollback.is_at_gate), None)


def _expect(result: "subprocess.CompletedProcess[str]", code: int, act: str, timeline: Timeline) -> None:
    output = f"{result.stdout}{result.stderr}".strip()
    if result.returncode != code:
        raise ExpectationFailed(f"{act}: exit code {result.returncode}, expected {code}: {output}")
    timeline.say(f"{act}:\n  | {output.splitlines()[-1]}", "good" if code == 0 else "bad")


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "rollback_cli.main", *words]


def _hire(name: str, environment: "DemoEnvironment") -> Person:
    """Give a person a session of the role, whose policy has what `docs/approval.md` says, and nothing else."""
    from local_cloud.iam import credentials  # noqa: PLC0415 - see `demo`

    iam, account, region = environment.client("iam"), environment.cloud.account, environment.cloud.region
    function, table = environment.deployed.approve_function, environment.deployed.ledger_table
    statements = [
        ("cloudformation:DescribeStacks", f"arn:aws:cloudformation:{region}:{account}:stack/*"),
        (["dynamodb:GetItem", "dynamodb:Query"], f"arn:aws:dynamodb:{region}:{account}:table/{table}"),
        ("states:StartExecution", environment.deployed.workflow_arn),
        ("states:DescribeExecution", environment.deployed.workflow_arn.replace(":stateMachine:", ":execution:") + ":*"),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{region}:{account}:function:{function}"),
    ]
    policy = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements]
    if name == "ada":  # the first one
        trust = {"Version": "2012-10-17", "Statement": []}
        iam.create_role(RoleName=ROLE_NAME, AssumeRolePolicyDocument=json.dumps(trust))
        document = json.dumps({"Version": "2012-10-17", "Statement": policy})
        iam.put_role_policy(RoleName=ROLE_NAME, PolicyName="on-call", PolicyDocument=document)
    session = credentials.role_credentials(f"arn:aws:iam::{account}:role/{ROLE_NAME}", name)
    return Person(name, {**os.environ, **session.as_environment()})
