"""Decisions by the deployed function `approve`, under IAM: who may decide counts once, and all else changes nothing.

The waiting rollbacks roll a release back that was forced, so that the environment needs no database.
"""

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from e2e.conftest import POLICY, cloud_process, pointed_at
from e2e.live import DeployedEnvironment, wait_for

from local_cloud.iam.policies import allows
from local_cloud.listing import list_all
from rollback.approval.answer import DECISIONS
from rollback.domain.approval.identity_proof import PROOF, purpose_of_decision, purpose_of_start
from rollback.domain.rollback import Outcome, Rollback
from rollback_cli.sign_proof import sign_proof

pytestmark = pytest.mark.e2e

ACCOUNT = "123456789012"
ON_CALL, DEVELOPER, GUEST = "on-call", "developer", "guest"
APPROVAL = {"required_for": ["forced"], "four_eyes": True, "approvers": [f"arn:aws:iam::*:role/{ON_CALL}"]}
REASON = "the plan is right"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}


@dataclass(frozen=True)
class Gate:
    """A deployed environment with people who start and decide its rollbacks."""

    deployed: DeployedEnvironment

    @cached_property
    def people(self) -> dict[str, boto3.Session]:
        """Sessions of roles: Ada and Ben are on call, Dan may invoke the function only, Eve may do nothing."""
        iam, sts = self.deployed.client("iam"), self.deployed.client("sts")
        workflow = self.deployed.deployed.workflow_arn
        region = self.deployed.client("lambda").meta.region_name
        decide = ("lambda:InvokeFunction", f"arn:aws:lambda:{region}:{ACCOUNT}:function:{self.function}")
        grants = {ON_CALL: [decide, ("states:StartExecution", workflow)], DEVELOPER: [decide], GUEST: []}
        for role, granted in grants.items():
            iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST))
            statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in granted]
            document = json.dumps({"Version": "2012-10-17", "Statement": statements})
            if statements:
                iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=document)
        roles = {"ada": ON_CALL, "ben": ON_CALL, "dan": DEVELOPER, "eve": GUEST}
        sessions = {}
        for name, role in roles.items():
            assumed = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}", RoleSessionName=name)
            keys = assumed["Credentials"]
            sessions[name] = boto3.Session(
                keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=region
            )
        return sessions

    @property
    def function(self) -> str:
        function = self.deployed.deployed.approve_function
        assert function is not None
        return function

    def start(self, name: str = "ada") -> Rollback:
        """Let a person start a forced rollback, and return it when it waits under a token."""
        execution = str(uuid.uuid4())
        request = {"type": "service", "force": True, "reason": "v2 is bad", "requested_by": name}
        proof = sign_proof(purpose_of_start(request, execution), self.people[name])
        states = self.people[name].client("stepfunctions")
        states.start_execution(
            stateMachineArn=self.deployed.deployed.workflow_arn,
            name=execution,
            input=json.dumps({**request, PROOF: proof}),
        )
        rollback = self.deployed.wait_for_rollback(lambda one: one.execution.endswith(execution) and one.is_at_gate)
        wait_for(lambda: self.has_token(rollback) or None)
        return self.read(rollback)

    def read(self, rollback: Rollback) -> Rollback:
        return self.deployed.ports.ledger.read(rollback.service_name, rollback.id)

    def proof(self, name: str, rollback: Rollback, decision: str = "approve", reason: str = REASON) -> dict[str, Any]:
        nonce = rollback.approval.nonce if rollback.approval is not None else ""
        return sign_proof(purpose_of_decision(rollback.id, nonce, DECISIONS[decision], reason), self.people[name])

    def decide(self, name: str, rollback: Rollback, decision: str = "approve", proof: Any = None) -> dict[str, Any]:
        """Invoke the function as a person does, with the person's own proof unless another is given."""
        fields = {"rollback_id": rollback.id, "decision": decision, "reason": REASON, "claimed_name": name}
        payload = {**fields, PROOF: proof or self.proof(name, rollback, decision)}
        answer = (
            self.people[name].client("lambda").invoke(FunctionName=self.function, Payload=json.dumps(payload).encode())
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
        body: dict[str, Any] = json.loads(answer["Payload"].read())
        return body

    @cached_property
    def table_arn(self) -> str:
        dynamodb = self.deployed.client("dynamodb")
        return str(dynamodb.describe_table(TableName=self.deployed.deployed.ledger_table)["Table"]["TableArn"])

    def policies(self) -> list[Any]:
        """Policies of the role of the function `approve`."""
        iam = self.deployed.client("iam")
        configuration = self.deployed.client("lambda").get_function_configuration(FunctionName=self.function)
        role = configuration["Role"].rpartition("/")[2]
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        return [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]

    def items(self) -> list[dict[str, Any]]:
        """All items of the ledger."""
        table = self.deployed.deployed.ledger_table
        return list_all(self.deployed.client("dynamodb"), "scan", "Items", TableName=table)

    def has_token(self, rollback: Rollback) -> bool:
        return any(item["sk"]["S"].startswith("TOKEN#") for item in self._items_of(rollback))

    def record(self, rollback: Rollback) -> tuple[object, ...]:
        """Everything that a decision changes: its item, the gate, the outcome and the actions of operators."""
        decisions = [item for item in self._items_of(rollback) if not item["sk"]["S"].startswith("TOKEN#")]
        current = self.read(rollback)
        actions = tuple(self.deployed.ports.ledger.actions(rollback.service_name))
        return decisions, current.approval, current.outcome, actions

    def _items_of(self, rollback: Rollback) -> list[dict[str, Any]]:
        return [item for item in self.items() if item["pk"]["S"] == f"APPROVAL#{rollback.id}"]


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    with cloud_process(POLICY, approval=APPROVAL) as variables, pointed_at(variables):
        deployed = DeployedEnvironment()
        deployed.promote(deployed.release().version)
        deployed.release()
        yield Gate(deployed)


@pytest.fixture(scope="module")
def waiting(gate: Gate) -> Rollback:
    """Rollback of Ada that waits while refused decisions are sent; the last test rejects it."""
    return gate.start()


def refusal(answer: Mapping[str, Any]) -> str:
    assert answer["ok"] is False, answer
    return str(answer["error"]["text"])


def _late(gate: Gate) -> Rollback:
    """Rollback whose time to decide is over."""
    rollback = gate.start()
    assert rollback.approval is not None
    over = rollback.approval.model_copy(update={"expires_at": datetime.now(UTC) - timedelta(seconds=1)})
    return gate.deployed.ports.ledger.save(rollback.evolve(approval=over))


def _tokens(gate: Gate, execution: str) -> tuple[list[str], list[str]]:
    """Tokens of an execution, and all other texts of its history."""
    states = gate.deployed.client("stepfunctions")
    events = list_all(states, "get_execution_history", "events", executionArn=execution)
    tokens, texts = [], []
    for event in events:
        scheduled = event.get("taskScheduledEventDetails")
        payload = json.loads(scheduled["parameters"]).get("Payload") if scheduled else None
        if isinstance(payload, dict) and "token" in payload:
            tokens.append(payload["token"])
        else:
            texts.append(json.dumps(event, default=str))
    return tokens, [*texts, json.dumps(states.describe_execution(executionArn=execution), default=str)]


def _log_lines(gate: Gate) -> list[str]:
    logs = gate.deployed.client("logs")
    groups = [group["logGroupName"] for group in list_all(logs, "describe_log_groups", "logGroups")]
    return [
        event["message"]
        for group in groups
        for event in list_all(logs, "filter_log_events", "events", logGroupName=group)
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dan", r"assumed-role/developer/dan is no approver; approval\.approvers names .*role/on-call"),
        ("ada", r"assumed-role/on-call/ada started the rollback, and approval\.four_eyes demands that another person"),
    ],
    ids=["a person who is no approver", "the person who started the rollback"],
)
def test_a_person_who_may_not_decide_is_refused(gate: Gate, waiting: Rollback, name: str, expected: str) -> None:
    before = gate.record(waiting)
    text = refusal(gate.decide(name, waiting))
    assert re.search(expected, text), text
    assert text.endswith("nothing was changed")
    assert gate.record(waiting) == before


def test_a_person_whom_iam_does_not_allow_to_invoke_the_function_decides_nothing(gate: Gate, waiting: Rollback) -> None:
    before = gate.record(waiting)
    with pytest.raises(ClientError, match="AccessDenied"):
        gate.decide("eve", waiting)
    assert gate.record(waiting) == before


@pytest.mark.parametrize(
    ("key", "allowed"), [("APPROVAL#a", True), ("SERVICE#express-api", False), ("BRANCH#app#br-1", False)], ids=str
)
def test_the_function_may_write_items_of_approvals_alone(gate: Gate, key: str, allowed: bool) -> None:
    context = {"dynamodb:leadingkeys": [key]}
    assert allows(gate.policies(), "dynamodb:PutItem", gate.table_arn, context) is allowed
    assert allows(gate.policies(), "dynamodb:DeleteItem", gate.table_arn, context) is allowed


def test_a_proof_of_another_rollback_or_another_decision_counts_for_nobody(gate: Gate, waiting: Rollback) -> None:
    before = gate.record(waiting)
    other = waiting.evolve(id=f"{waiting.id[:-8]}ffffffff")
    for proof in (
        gate.proof("ben", other),
        gate.proof("ben", waiting, "reject"),
        gate.proof("ben", waiting, reason="another reason"),
    ):
        text = refusal(gate.decide("ben", waiting, proof=proof))
        assert "the proof was signed for another decision or another start" in text
    assert gate.record(waiting) == before


def test_a_proof_with_an_altered_signature_counts_for_nobody(gate: Gate, waiting: Rollback) -> None:
    before = gate.record(waiting)
    proof = gate.proof("ben", waiting)
    signature = proof["headers"]["Authorization"]
    altered = {
        **proof["headers"],
        "Authorization": signature[:-1] + ("0" if signature[-1] != "0" else "1"),
    }
    text = refusal(gate.decide("ben", waiting, proof={**proof, "headers": altered}))
    assert "unverified: ben gave no proof of identity" in text
    assert "STS did not confirm" in text
    assert gate.record(waiting) == before


def test_a_proof_of_another_persons_start_counts_for_nobody(gate: Gate, waiting: Rollback) -> None:
    before = gate.record(waiting)
    proof = sign_proof(purpose_of_start({"type": "service"}, waiting.execution), gate.people["ben"])
    assert "signed for another decision" in refusal(gate.decide("ben", waiting, proof=proof))
    assert gate.record(waiting) == before


def test_a_rejection_ends_the_rollback_and_a_second_decision_is_refused(gate: Gate, waiting: Rollback) -> None:
    running = gate.deployed.running_digests()
    answer = gate.decide("ben", waiting, "reject")
    assert (answer["ok"], answer["is_verified"], answer["is_woken"]) == (True, True, True)
    rejected = gate.deployed.wait_until_concluded(lambda one: one.id == waiting.id)
    assert (rejected.outcome, rejected.has_acted) == (Outcome.REJECTED, False)
    before = gate.record(waiting)

    text = refusal(gate.decide("ben", waiting))

    assert re.search(r"is decided already: rejected at .* by .*assumed-role/on-call/ben: the plan is right", text), text
    assert gate.record(waiting) == before
    assert gate.deployed.running_digests() == running
    (action, *_) = gate.deployed.ports.ledger.actions(waiting.service_name)
    assert (action.verb, action.subject) == ("reject", waiting.id)


def test_a_late_approval_is_refused(gate: Gate) -> None:
    rollback = _late(gate)
    text = refusal(gate.decide("ben", rollback))
    # The execution may have seen the time first.
    assert re.search(
        r"the time to decide \S+ ended at|decided already: expired at|waits for no approval any more", text
    )
    ended = gate.deployed.wait_until_concluded(lambda one: one.id == rollback.id)
    assert ended.outcome is Outcome.REJECTED
    assert "no person decided by" in ended.reason


def test_an_approved_rollback_succeeds_and_its_token_is_nowhere_but_in_the_parameters_of_the_wait(gate: Gate) -> None:
    topic = gate.deployed.deployed.topic_arn
    sqs = gate.deployed.client("sqs")
    queue = sqs.create_queue(QueueName="all-messages")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    gate.deployed.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    rollback = gate.start()
    stored_while_waiting = str(gate.items())

    answer = gate.decide("ben", rollback)

    assert (answer["ok"], answer["is_woken"]) == (True, True), answer
    ended = gate.deployed.wait_until_concluded(lambda one: one.id == rollback.id)
    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert next(gate.deployed.ports.ledger.actions(rollback.service_name)).verb == "approve"
    assert not gate.has_token(rollback)

    messages = []
    while received := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        for message in received:
            messages.append(message["Body"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    tokens, history = _tokens(gate, ended.execution)
    assert tokens, "the history shows no wait under a token"
    assert any(rollback.id in message for message in messages)
    log_lines = _log_lines(gate)
    assert any(rollback.id in line for line in log_lines)
    places = {
        "history": history,
        "ledger while waiting": [stored_while_waiting],
        "ledger": [str(gate.items())],
        "messages": [*messages, *gate.deployed.pages()],
        "logs": log_lines,
        "answer": [json.dumps(answer)],
    }
    assert [
        (place, text) for place, texts in places.items() for text in texts for token in tokens if token in text
    ] == []
