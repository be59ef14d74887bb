"""Lambda of the embedded cloud: functions in warm subprocesses, asynchronous invocation, logs and metrics."""

import datetime
import io
import json
import time
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from contract.local_cloud.workload import Workload

from local_cloud.deployment.server import LocalCloud
from local_cloud.functions import functions
from local_cloud.listing import list_all

CODE = """
import json, os, sys, time, uuid
import boto3
INSTANCE = str(uuid.uuid4())
def handler(event, context):
    print("working on", event)
    match event.get("do"):
        case "fail": raise ValueError("on purpose")
        case "sleep": time.sleep(event["seconds"])
        case "exit": os._exit(7)
        case "import": __import__(event["module"])
        case "probe":
            import urllib.request
            return {"status": urllib.request.urlopen(event["url"], timeout=5).status}
        case "flaky":
            sqs = boto3.client("sqs")
            sqs.send_message(QueueUrl=event["queue"], MessageBody="attempt")
            raise RuntimeError("still broken")
    return {"instance": INSTANCE, "endpoint": os.environ["AWS_ENDPOINT_URL"],
            "remaining": context.get_remaining_time_in_millis(),
            "who": boto3.client("sts").get_caller_identity()["Arn"], "greeting": os.environ.get("GREETING")}
"""


def archive(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.writestr("index.py", code)
    return buffer.getvalue()


def make_role(cloud: LocalCloud, *statements: dict[str, Any]) -> str:
    iam, name = cloud.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
    return arn


def make_function(cloud: LocalCloud, **settings: Any) -> str:
    name = f"function-{uuid.uuid4().hex[:8]}"
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    cloud.client("lambda").create_function(
        **{
            "FunctionName": name,
            "Runtime": "python3.12",
            "Handler": "index.handler",
            "Role": make_role(cloud, everything),
            "Code": {"ZipFile": archive(CODE)},
            "Timeout": 10,
            **settings,
        }
    )
    return name


def invoke(cloud: LocalCloud, name: str, **event: Any) -> tuple[str | None, dict[str, Any]]:
    answer = cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


@pytest.fixture(scope="module")
def name(cloud: LocalCloud) -> str:
    return make_function(cloud, Environment={"Variables": {"GREETING": "hello"}})


def test_a_function_answers_with_its_environment_and_its_roles_credentials(cloud: LocalCloud, name: str) -> None:
    error, answer = invoke(cloud, name)
    assert error is None
    assert answer["greeting"] == "hello"
    assert answer["endpoint"] == cloud.endpoint
    assert ":assumed-role/role-" in answer["who"]
    assert answer["who"].endswith(f"/{name}")


def test_a_second_invocation_uses_the_same_warm_process(cloud: LocalCloud, name: str) -> None:
    assert invoke(cloud, name)[1]["instance"] == invoke(cloud, name)[1]["instance"]


def test_simultaneous_invocations_run_in_processes_of_their_own(cloud: LocalCloud, name: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: invoke(cloud, name, do="sleep", seconds=0.3)[1], range(3)))
    assert len({answer["instance"] for answer in answers}) == 3


def test_a_function_uses_new_code_and_new_settings_at_once(cloud: LocalCloud) -> None:
    name = make_function(cloud)
    assert invoke(cloud, name)[1]["greeting"] is None
    cloud.client("lambda").update_function_configuration(
        FunctionName=name, Environment={"Variables": {"GREETING": "new"}}
    )
    assert invoke(cloud, name)[1]["greeting"] == "new"
    cloud.client("lambda").update_function_code(
        FunctionName=name, ZipFile=archive("def handler(event, context): return {'greeting': 'newer'}")
    )
    assert invoke(cloud, name)[1] == {"greeting": "newer"}


def test_an_exception_becomes_an_unhandled_function_error(cloud: LocalCloud, name: str) -> None:
    error, answer = invoke(cloud, name, do="fail")
    assert error == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "on purpose")


def test_a_function_that_takes_too_long_is_ended(cloud: LocalCloud) -> None:
    name = make_function(cloud, Timeout=1)
    assert invoke(cloud, name)[0] is None
    started = time.monotonic()
    error, answer = invoke(cloud, name, do="sleep", seconds=30)
    assert error == "Unhandled"
    assert answer["errorType"] == "Sandbox.Timedout"
    assert "timed out after 1.00 seconds" in answer["errorMessage"]
    assert time.monotonic() - started < 25


def test_a_process_that_dies_is_reported_and_replaced(cloud: LocalCloud, name: str) -> None:
    error, answer = invoke(cloud, name, do="exit")
    assert (error, answer["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert invoke(cloud, name)[0] is None


@pytest.mark.parametrize("module", ["moto", "pydantic", "rollback", "local_cloud", "yaml"])
def test_a_function_cannot_import_a_package_that_its_bundle_lacks(cloud: LocalCloud, name: str, module: str) -> None:
    error, answer = invoke(cloud, name, do="import", module=module)
    assert error == "Unhandled"
    assert answer["errorType"] == "ModuleNotFoundError"


def test_a_bundle_that_cannot_be_loaded_is_an_error_with_the_reason(cloud: LocalCloud) -> None:
    name = make_function(cloud, Code={"ZipFile": archive("import no_such_module")})
    error, answer = invoke(cloud, name)
    assert error == "Unhandled"
    assert "no_such_module" in answer["errorMessage"]


def test_a_functions_output_goes_to_its_log_group(cloud: LocalCloud, name: str) -> None:
    invoke(cloud, name, marker="find me")
    events = list_all(cloud.client("logs"), "filter_log_events", "events", logGroupName=f"/aws/lambda/{name}")
    assert any("find me" in event["message"] for event in events)


def test_an_asynchronous_invocation_is_tried_three_times(cloud: LocalCloud, name: str) -> None:
    sqs = cloud.client("sqs")
    queue = sqs.create_queue(QueueName=f"attempts-{name}")["QueueUrl"]
    answer = cloud.client("lambda").invoke(
        FunctionName=name, InvocationType="Event", Payload=json.dumps({"do": "flaky", "queue": queue})
    )
    assert answer["StatusCode"] == 202
    deadline = time.monotonic() + 10
    while _count(sqs, queue) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    assert _count(sqs, queue) == 3


def test_a_failed_event_is_sent_to_the_functions_failure_destination_with_the_error(cloud: LocalCloud) -> None:
    sqs, client = cloud.client("sqs"), cloud.client("lambda")
    url = sqs.create_queue(QueueName=f"failed-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    may_send = {
        "Effect": "Allow",
        "Action": "sqs:SendMessage",
        "Resource": queue,
    }  # the permission that our template grants
    name = make_function(cloud, Role=make_role(cloud, may_send))
    client.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": queue}}
    )
    client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps({"do": "fail"}))
    deadline = time.monotonic() + 10
    while _count(sqs, url) < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    record = json.loads(message["Body"])
    assert record["requestPayload"] == {"do": "fail"}
    assert record["responsePayload"]["errorMessage"] == "on purpose"
    assert record["requestContext"]["condition"] == "RetriesExhausted"


def _count(sqs: Any, queue: str) -> int:
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])


def test_reserved_concurrency_throttles_a_function(cloud: LocalCloud) -> None:
    name = make_function(cloud)
    client = cloud.client("lambda")
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as error:
        client.invoke(FunctionName=name)
    assert error.value.response["Error"]["Code"] == "TooManyRequestsException"


def test_the_warm_processes_of_a_function_are_counted(cloud: LocalCloud) -> None:
    name = make_function(cloud)
    arn = cloud.client("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    assert functions.running_sandboxes(arn) == 0
    invoke(cloud, name)
    assert functions.running_sandboxes(arn) == 1


def test_invocations_errors_and_throttles_are_counted_by_function(cloud: LocalCloud) -> None:
    name = make_function(cloud)
    invoke(cloud, name)
    invoke(cloud, name, do="fail")
    cloud.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="TooManyRequests"):
        invoke(cloud, name)
    now = datetime.datetime.now(datetime.UTC)
    sums = {}
    for metric in ("Invocations", "Errors", "Throttles"):
        answer = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda", MetricName=metric, Dimensions=[{"Name": "FunctionName", "Value": name}],
            Period=3600, Statistics=["Sum"],
            StartTime=now - datetime.timedelta(minutes=5), EndTime=now + datetime.timedelta(minutes=5),
        )  # fmt: skip
        sums[metric] = sum(point["Sum"] for point in answer["Datapoints"])
    assert sums.pop("Throttles") >= 1  # boto3 retries a throttled call
    assert sums == {"Invocations": 2, "Errors": 1}


@pytest.mark.parametrize("scheme", ["internal", "internet-facing"])
def test_only_a_function_in_the_vpc_reaches_an_internal_load_balancer(cloud: LocalCloud, scheme: str) -> None:
    web = Workload(cloud, scheme=scheme)
    web.start_and_wait(web.release("one"), desired=1)
    place = {"SubnetIds": web.subnets, "SecurityGroupIds": [web.group]}
    inside, outside = make_function(cloud, VpcConfig=place), make_function(cloud)
    try:
        assert invoke(cloud, inside, do="probe", url=web.url) == (None, {"status": 200})
        error, answer = invoke(cloud, outside, do="probe", url=web.url)
        if scheme == "internal":
            assert (error, "timed out" in answer["errorMessage"]) == ("Unhandled", True)
        else:
            assert (error, answer) == (None, {"status": 200})
    finally:
        web.ecs.delete_service(cluster=web.name, service=web.name, force=True)
