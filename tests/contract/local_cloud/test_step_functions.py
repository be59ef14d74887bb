"""Step Functions of the embedded cloud behaves as AWS's: one test for each repair of moto's interpreter."""

import datetime
import itertools
import json
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud import clock
from local_cloud.deployment.server import LocalCloud
from local_cloud.listing import list_all
from local_cloud.moto_fixes.step_functions.definition import transition_problems

ROLE = "arn:aws:iam::123456789012:role/state-machine"
ADMINISTRATION = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
names = (f"machine-{uuid.uuid4().hex[:12]}" for _ in itertools.count())  # unique, since other files import this module


@pytest.fixture(scope="module")
def role(cloud: LocalCloud) -> str:
    iam = cloud.client("iam")
    iam.create_role(RoleName="state-machine", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName="state-machine", PolicyName="all", PolicyDocument=json.dumps(ADMINISTRATION))
    return ROLE


class Machines:
    """State machines of a role: creates and runs them."""

    def __init__(self, cloud: LocalCloud, role: str) -> None:
        self.api: Any = cloud.client("stepfunctions")
        self.cloud = cloud
        self.role = role

    def create(self, states: dict[str, Any], **fields: Any) -> str:
        definition = {"StartAt": next(iter(states)), "States": states, **fields}
        answer = self.api.create_state_machine(name=next(names), definition=json.dumps(definition), roleArn=self.role)
        return str(answer["stateMachineArn"])

    def start(self, states: dict[str, Any], document: Any = None, **fields: Any) -> str:
        arn = self.create(states, **fields)
        return str(self.api.start_execution(stateMachineArn=arn, input=json.dumps(document or {}))["executionArn"])

    def end_of(self, execution: str, seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            described: dict[str, Any] = self.api.describe_execution(executionArn=execution)
            if described["status"] != "RUNNING":
                return described
            time.sleep(0.01)
        raise AssertionError(f"{execution} still runs after {seconds} s")

    def run(self, states: dict[str, Any], document: Any = None, **fields: Any) -> dict[str, Any]:
        return self.end_of(self.start(states, document, **fields))

    def output(self, states: dict[str, Any], document: Any = None, **fields: Any) -> Any:
        end = self.run(states, document, **fields)
        assert end["status"] == "SUCCEEDED", end
        return json.loads(end["output"])

    def event(self, execution: str, kind: str) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for event in list_all(self.api, "get_execution_history", "events", executionArn=execution):
                if event["type"] == kind:
                    return dict(event)
            time.sleep(0.01)
        raise AssertionError(f"{execution} has no {kind}")

    def token(self, execution: str) -> str:
        parameters = self.event(execution, "TaskScheduled")["taskScheduledEventDetails"]["parameters"]
        self.event(execution, "TaskSubmitted")
        return str(json.loads(parameters)["MessageBody"])


@pytest.fixture(scope="module")
def machines(cloud: LocalCloud, role: str) -> Machines:
    return Machines(cloud, role)


@pytest.fixture(scope="module")
def queue(cloud: LocalCloud) -> str:
    return str(cloud.client("sqs").create_queue(QueueName="tokens")["QueueUrl"])


def task_with_token(queue: str, **fields: Any) -> dict[str, Any]:
    parameters = {"QueueUrl": queue, "MessageBody.$": "$$.Task.Token"}
    resource = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True, **fields}


def test_a_definite_path_gives_the_value_and_a_wildcard_a_list(machines: Machines) -> None:
    parameters = {"first.$": "$.tasks[0].name", "all.$": "$.tasks[*].name"}
    output = machines.output(
        {"Read": {"Type": "Pass", "Parameters": parameters, "End": True}}, {"tasks": [{"name": "a"}, {"name": "b"}]}
    )
    assert output == {"first": "a", "all": ["a", "b"]}


def test_the_context_object_has_the_start_time_as_text_and_the_redrive_count(machines: Machines) -> None:
    parameters = {"start.$": "$$.Execution.StartTime", "redrives.$": "$$.Execution.RedriveCount"}
    output = machines.output({"Read": {"Type": "Pass", "Parameters": parameters, "End": True}})
    assert output["redrives"] == 0
    time.strptime(output["start"], "%Y-%m-%dT%H:%M:%S.%fZ")


def test_a_wait_follows_the_scaled_clock(machines: Machines) -> None:
    began = time.monotonic()
    machines.output({"Rest": {"Type": "Wait", "SecondsPath": "$.pause", "End": True}}, {"pause": 30})
    assert clock.real_seconds(30) <= time.monotonic() - began < 15


def test_retries_wait_on_the_scaled_clock_and_end_in_the_catch(machines: Machines) -> None:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:dynamodb:getItem",
        "Parameters": {"TableName": "absent", "Key": {"pk": {"S": "1"}}},
        "Retry": [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 15, "MaxAttempts": 1}],
        "Catch": [{"ErrorEquals": ["DynamoDb.ResourceNotFoundException"], "ResultPath": "$.error", "Next": "Caught"}],
        "End": True,
    }
    began = time.monotonic()
    execution = machines.start({"Read": task, "Caught": {"Type": "Pass", "End": True}})
    assert machines.end_of(execution)["status"] == "SUCCEEDED"
    assert clock.real_seconds(15) <= time.monotonic() - began < 10
    history = list_all(machines.api, "get_execution_history", "events", executionArn=execution)
    assert [event["type"] for event in history].count("TaskScheduled") == 2


def test_sdk_integrations_take_and_give_pascal_case(machines: Machines) -> None:
    machines.cloud.client("ecs").create_cluster(clusterName="pascal")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:ecs:describeClusters",
        "Parameters": {"Clusters": ["pascal"]},
        "ResultSelector": {"name.$": "$.Clusters[0].ClusterName"},
        "End": True,
    }
    assert machines.output({"Read": task}) == {"name": "pascal"}


def test_a_task_calls_as_the_role_of_its_state_machine(machines: Machines) -> None:
    task = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sts:getCallerIdentity", "End": True}
    assert ":assumed-role/state-machine/" in machines.output({"Ask": task})["Arn"]


def test_a_parallel_state_catches_a_reserved_error_of_its_branch(machines: Machines, queue: str) -> None:
    branch = {"StartAt": "Ask", "States": {"Ask": task_with_token(queue, TimeoutSeconds=5)}}
    parallel = {
        "Type": "Parallel",
        "Branches": [branch],
        "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "Caught"}],
        "End": True,
    }
    output = machines.output({"Both": parallel, "Caught": {"Type": "Pass", "End": True}})
    assert output["Error"] == "States.Timeout"


def test_a_choice_without_a_match_fails_with_its_own_error(machines: Machines) -> None:
    choice = {"Type": "Choice", "Choices": [{"Variable": "$.a", "NumericEquals": 1, "Next": "One"}]}
    end = machines.run({"Choose": choice, "One": {"Type": "Succeed"}}, {"a": 2})
    assert (end["status"], end["error"]) == ("FAILED", "States.NoChoiceMatched")


@pytest.mark.parametrize(
    "compared",
    [
        {"Variable": "$.missing", "StringEquals": "x"},
        {"Variable": "$.a.missing", "NumericGreaterThan": 0},
        {"Variable": "$.missing", "IsString": True},
        {"Not": {"Variable": "$.missing", "BooleanEquals": True}},
    ],
)
def test_a_choice_on_an_absent_variable_fails_the_execution(machines: Machines, compared: dict[str, Any]) -> None:
    choice = {"Type": "Choice", "Choices": [{**compared, "Next": "One"}], "Default": "One"}
    end = machines.run({"Choose": choice, "One": {"Type": "Succeed"}}, {"a": 2})
    assert (end["status"], end["error"]) == ("FAILED", "States.Runtime")
    assert "references an invalid value" in end["cause"]


def test_a_choice_can_test_first_whether_a_variable_is_present(machines: Machines) -> None:
    choice = {"And": [{"Variable": "$.b", "IsPresent": True}, {"Variable": "$.b", "StringEquals": "x"}], "Next": "One"}
    states = {
        "Choose": {"Type": "Choice", "Choices": [choice], "Default": "Two"},
        "One": {"Type": "Pass", "Result": 1, "End": True},
        "Two": {"Type": "Pass", "Result": 2, "End": True},
    }
    assert [machines.output(states, execution_input) for execution_input in ({}, {"b": "x"}, {"b": 7})] == [2, 1, 2]


def test_states_all_does_not_catch_a_runtime_error(machines: Machines) -> None:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:dynamodb:getItem",
        "Parameters": {"TableName.$": "$.absent"},
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
        "End": True,
    }
    end = machines.run({"Read": task, "Caught": {"Type": "Pass", "End": True}})
    assert (end["status"], end["error"]) == ("FAILED", "States.Runtime")


def test_a_task_token_returns_its_output(machines: Machines, queue: str) -> None:
    execution = machines.start({"Ask": task_with_token(queue)})
    machines.api.send_task_success(taskToken=machines.token(execution), output='{"approved": true}')
    assert json.loads(machines.end_of(execution)["output"]) == {"approved": True}


def test_a_task_token_works_once_and_an_unknown_token_never(machines: Machines, queue: str) -> None:
    rest = {"Type": "Wait", "Seconds": 100, "End": True}
    asking = {**task_with_token(queue), "Next": "Rest"}
    del asking["End"]
    execution = machines.start({"Ask": asking, "Rest": rest})
    token = machines.token(execution)
    with pytest.raises(ClientError, match="InvalidOutput"):
        machines.api.send_task_success(taskToken=token, output="no json")
    machines.api.send_task_success(taskToken=token, output="{}")
    with pytest.raises(ClientError, match="TaskTimedOut"):
        machines.api.send_task_failure(taskToken=token, error="Refused")
    with pytest.raises(ClientError, match="InvalidToken"):
        machines.api.send_task_success(taskToken="never given out", output="{}")
    assert machines.end_of(execution)["status"] == "SUCCEEDED"


def test_a_heartbeat_keeps_a_token_wait_alive(machines: Machines, queue: str) -> None:
    execution = machines.start(
        {"Ask": task_with_token(queue, HeartbeatSeconds=300, TimeoutSeconds=3600)}
    )  # 3 s of real time
    token = machines.token(execution)
    for _ in range(4):
        time.sleep(clock.real_seconds(125))
        machines.api.send_task_heartbeat(taskToken=token)
    assert machines.api.describe_execution(executionArn=execution)["status"] == "RUNNING"
    machines.api.send_task_success(taskToken=token, output="{}")
    assert machines.end_of(execution)["status"] == "SUCCEEDED"


def test_send_task_failure_returns_error_and_cause(machines: Machines, queue: str) -> None:
    execution = machines.start({"Ask": task_with_token(queue)})
    machines.api.send_task_failure(taskToken=machines.token(execution), error="Refused", cause="not now")
    end = machines.end_of(execution)
    assert (end["status"], end["error"], end["cause"]) == ("FAILED", "Refused", "not now")


def test_a_token_without_a_heartbeat_times_out_on_the_scaled_clock(machines: Machines, queue: str) -> None:
    end = machines.run({"Ask": task_with_token(queue, HeartbeatSeconds=10, TimeoutSeconds=3600)})
    assert (end["status"], end["error"]) == ("FAILED", "States.Timeout")


def test_stop_execution_during_a_token_wait_aborts_at_once(machines: Machines, queue: str) -> None:
    execution = machines.start({"Ask": task_with_token(queue)})
    token = machines.token(execution)
    machines.api.stop_execution(executionArn=execution, error="Operator", cause="stopped by an operator")
    end = machines.api.describe_execution(executionArn=execution)
    assert (end["status"], end["error"], end["cause"]) == ("ABORTED", "Operator", "stopped by an operator")
    machines.event(execution, "ExecutionAborted")
    assert machines.api.describe_execution(executionArn=execution)["status"] == "ABORTED"
    with pytest.raises(ClientError, match="TaskTimedOut"):
        machines.api.send_task_success(taskToken=token, output="{}")


def test_the_time_limit_of_a_state_machine_ends_a_token_wait(machines: Machines, queue: str) -> None:
    execution = machines.start({"Ask": task_with_token(queue)}, TimeoutSeconds=20)
    end = machines.end_of(execution)
    assert end["status"] == "TIMED_OUT"
    assert end["stopDate"] >= end["startDate"]
    machines.event(execution, "ExecutionTimedOut")
    executions = list_all(machines.api, "list_executions", "executions", stateMachineArn=end["stateMachineArn"])
    assert [(entry["status"], entry["stopDate"]) for entry in executions] == [("TIMED_OUT", end["stopDate"])]


def test_a_running_execution_keeps_its_definition_and_the_next_one_has_the_new_one(
    machines: Machines, queue: str
) -> None:
    """API reference, UpdateStateMachine: running executions continue to use the previous definition and role."""
    asking = {**task_with_token(queue), "Next": "Before"}
    del asking["End"]
    before = {"Ask": asking, "Before": {"Type": "Pass", "Result": "before", "End": True}}
    arn = machines.create(before)
    running = machines.api.start_execution(stateMachineArn=arn)["executionArn"]
    token = machines.token(running)
    after = {"StartAt": "After", "States": {"After": {"Type": "Pass", "Result": "after", "End": True}}}

    machines.api.update_state_machine(stateMachineArn=arn, definition=json.dumps(after))

    machines.api.send_task_success(taskToken=token, output="{}")
    assert machines.end_of(running)["output"] == '"before"'
    described = machines.api.describe_state_machine_for_execution(executionArn=running)
    assert json.loads(described["definition"])["StartAt"] == "Ask"
    following = machines.api.start_execution(stateMachineArn=arn)["executionArn"]
    assert machines.end_of(following)["output"] == '"after"'


def test_the_history_is_paged_and_can_be_reversed(machines: Machines) -> None:
    execution = machines.start({"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "End": True}})
    machines.end_of(execution)
    forward = list_all(machines.api, "get_execution_history", "events", executionArn=execution)
    backward = list_all(machines.api, "get_execution_history", "events", executionArn=execution, reverseOrder=True)
    assert [e["id"] for e in backward] == [e["id"] for e in reversed(forward)]
    assert len(machines.api.get_execution_history(executionArn=execution, maxResults=1)["events"]) == 1


def test_an_output_that_is_a_text_is_described_as_json(machines: Machines) -> None:
    assert machines.run({"Say": {"Type": "Pass", "Result": "done", "End": True}})["output"] == '"done"'


def test_a_definition_with_a_missing_target_is_refused(machines: Machines) -> None:
    with pytest.raises(ClientError, match="NOWHERE at /States/A/Next") as refusal:
        machines.create({"A": {"Type": "Pass", "Next": "NOWHERE"}})
    assert refusal.value.response["Error"]["Code"] == "InvalidDefinition"


def test_an_update_with_a_missing_catch_target_is_refused(machines: Machines, queue: str) -> None:
    arn = machines.create({"A": {"Type": "Pass", "End": True}})
    task = task_with_token(queue, Catch=[{"ErrorEquals": ["States.ALL"], "Next": "NOWHERE"}])
    with pytest.raises(ClientError, match=r"NOWHERE at /States/A/Catch\[0\]/Next"):
        machines.api.update_state_machine(
            stateMachineArn=arn, definition=json.dumps({"StartAt": "A", "States": {"A": task}})
        )


def test_an_unreachable_state_and_a_branch_with_a_missing_target_are_reported() -> None:
    branch = {"StartAt": "B", "States": {"B": {"Type": "Pass", "Next": "C"}}}
    states = {"A": {"Type": "Parallel", "Branches": [branch], "End": True}, "Island": {"Type": "Succeed"}}
    problems = transition_problems(json.dumps({"StartAt": "A", "States": states}))
    assert problems == [
        "MISSING_TRANSITION_TARGET: Missing transition target: C at /States/A/Branches[0]/States/B/Next",
        'MISSING_TRANSITION_TARGET: State "Island" is not reachable. at /States/Island',
    ]


def test_executions_without_a_name_get_different_names(machines: Machines) -> None:
    arn = machines.create({"A": {"Type": "Succeed"}})
    started = {machines.api.start_execution(stateMachineArn=arn)["executionArn"] for _ in range(2)}
    assert len(started) == 2


def test_executions_are_counted_by_state_machine_and_final_status(machines: Machines, cloud: LocalCloud) -> None:
    failed = machines.run({"F": {"Type": "Fail", "Error": "Broken", "Cause": "on purpose"}})
    now = datetime.datetime.now(datetime.UTC)

    def counted(name: str) -> float:
        dimension = {"Name": "StateMachineArn", "Value": failed["stateMachineArn"]}
        answer = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/States", MetricName=name, Dimensions=[dimension], Period=3600, Statistics=["Sum"],
            StartTime=now - datetime.timedelta(minutes=5), EndTime=now + datetime.timedelta(minutes=5),
        )  # fmt: skip
        return float(sum(point["Sum"] for point in answer["Datapoints"]))

    deadline = time.monotonic() + 30  # the metric comes after the end
    while counted("ExecutionsFailed") == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [counted(f"Executions{end}") for end in ("Started", "Failed", "Succeeded", "Aborted")] == [1, 1, 0, 0]


def test_each_change_of_an_execution_is_an_event(machines: Machines, cloud: LocalCloud) -> None:
    events, sqs, name = cloud.client("events"), cloud.client("sqs"), f"executions-{uuid.uuid4()}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    pattern = {"source": ["aws.states"], "detail": {"status": ["RUNNING", "FAILED", "ABORTED"]}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    target = {"Id": "queue", "Arn": f"arn:aws:sqs:{cloud.region}:{cloud.account}:{name}"}
    events.put_targets(Rule=name, Targets=[target])
    execution = machines.start({"F": {"Type": "Fail", "Error": "Broken", "Cause": "on purpose"}}, {"a": 1})
    machines.end_of(execution)
    stopped = machines.start({"W": {"Type": "Wait", "Seconds": 100000, "End": True}})
    machines.event(stopped, "WaitStateEntered")
    machines.api.stop_execution(executionArn=stopped, error="Operator", cause="stopped by an operator")
    by_status: dict[str, Any] = {}
    deadline = time.monotonic() + 30
    while len(by_status) < 3 and time.monotonic() < deadline:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            event = json.loads(message["Body"])
            of = {execution: ("RUNNING", "FAILED"), stopped: ("ABORTED",)}.get(event["detail"]["executionArn"], ())
            if event["detail"]["status"] in of:
                by_status[event["detail"]["status"]] = event
        time.sleep(0.02)
    events.remove_targets(Rule=name, Ids=["queue"])
    events.delete_rule(Name=name)
    assert set(by_status) == {"RUNNING", "FAILED", "ABORTED"}
    aborted = by_status["ABORTED"]["detail"]
    assert (aborted["error"], aborted["cause"], aborted["output"]) == ("Operator", "stopped by an operator", None)
    assert aborted["stopDate"] >= aborted["startDate"]
    assert by_status["FAILED"]["detail-type"] == "Step Functions Execution Status Change"
    assert by_status["FAILED"]["resources"] == [execution]
    detail = by_status["FAILED"]["detail"]
    assert (detail["error"], detail["cause"], detail["input"]) == ("Broken", "on purpose", '{"a": 1}')
    assert detail["stopDate"] >= detail["startDate"]
