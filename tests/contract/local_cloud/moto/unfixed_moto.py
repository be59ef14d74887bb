"""Probes of moto without the fixes of `local_cloud.moto_fixes`: each is true while moto still needs its fix.

`python unfixed_moto.py` runs every probe in a process that never imports `local_cloud`, and prints JSON: the probe's
name, and true, false, or the text of an unexpected error.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Answer = dict[str, Any]
_ACCOUNT = "123456789012"
_TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


@dataclass(frozen=True)
class Probe:
    """A behaviour of moto that `fix` (a path below `moto_fixes/`) replaces. `is_wrong` asks an empty moto."""

    fix: str
    is_wrong: Callable[[], bool]


PROBES: dict[str, Probe] = {}


def _probe(fix: str) -> Callable[[Callable[[], bool]], Callable[[], bool]]:
    def register(is_wrong: Callable[[], bool]) -> Callable[[], bool]:
        PROBES[is_wrong.__name__] = Probe(fix, is_wrong)
        return is_wrong

    return register


def _client(service: str) -> Any:
    import boto3  # noqa: PLC0415

    return boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]


def _fails(call: Callable[[], Any]) -> bool:
    try:
        call()
    except Exception:  # noqa: BLE001 - moto fails in many ways where an operation is missing
        return True
    return False


# DynamoDB, start and reset, pages


@_probe("dynamodb.py")
def moto_lets_two_conditional_writes_pass_at_once() -> bool:
    from moto.dynamodb import models  # noqa: PLC0415

    client, both_passed = _client("dynamodb"), threading.Barrier(2)
    key = {"AttributeName": "id", "AttributeType": "S"}
    schema = [{"AttributeName": "id", "KeyType": "HASH"}]
    client.create_table(TableName="t", AttributeDefinitions=[key], KeySchema=schema, BillingMode="PAY_PER_REQUEST")
    stock = models.UpdateExpressionValidator.validate  # called between the condition and the write

    def validate(self: Any) -> Any:
        with contextlib.suppress(threading.BrokenBarrierError):
            both_passed.wait(timeout=3)
        return stock(self)

    models.UpdateExpressionValidator.validate = validate
    succeeded: list[Any] = []

    def write(owner: str) -> None:
        with contextlib.suppress(client.exceptions.ConditionalCheckFailedException):
            succeeded.append(
                client.update_item(
                    TableName="t",
                    Key={"id": {"S": "lease"}},
                    UpdateExpression="SET holder = :me",
                    ConditionExpression="attribute_not_exists(holder)",
                    ExpressionAttributeValues={":me": {"S": owner}},
                )
            )

    threads = [threading.Thread(target=write, args=(owner,)) for owner in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    models.UpdateExpressionValidator.validate = stock
    return len(succeeded) == 2


@_probe("moto_state.py")
def moto_makes_managed_policies_in_every_partition() -> bool:
    from moto.iam.models import iam_backends  # noqa: PLC0415

    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    try:
        return bool(iam_backends[_ACCOUNT]["aws-cn"].aws_managed_policies)
    finally:
        del os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"]


@_probe("moto_state.py")
def moto_fills_a_backend_before_a_reset_drops_it() -> bool:
    from moto.core.base_backend import BackendDict  # noqa: PLC0415
    from moto.iam.models import IAMBackend, iam_backends  # noqa: PLC0415

    _ = iam_backends[_ACCOUNT]["aws"]
    stock, filled = IAMBackend._init_aws_policies, []

    def fill(self: Any) -> Any:
        filled.append(self)
        return stock(self)

    IAMBackend._init_aws_policies = fill
    BackendDict.reset()
    IAMBackend._init_aws_policies = stock
    return bool(filled)


@_probe("moto_state.py")
def botocore_reads_the_model_of_a_service_anew_for_each_session() -> bool:
    import botocore  # noqa: PLC0415
    from botocore.loaders import JSONFileLoader  # noqa: PLC0415

    path = str(Path(botocore.__file__).parent / "data" / "endpoints")
    return JSONFileLoader().load_file(path) is not JSONFileLoader().load_file(path)


@_probe("pagination.py")
def moto_answers_paged_operations_whole() -> bool:
    ecs, cloudwatch, events = _client("ecs"), _client("cloudwatch"), _client("events")
    for name in ("a", "b", "c"):
        ecs.create_cluster(clusterName=name)
        _put_alarm(cloudwatch, name)
        events.put_rule(Name=name, ScheduleExpression="rate(1 hour)")
    whole = [
        len(ecs.list_clusters(maxResults=1)["clusterArns"]) == 3,
        len(cloudwatch.describe_alarms(MaxRecords=1)["MetricAlarms"]) == 3,
        len(events.list_rules(Limit=1)["Rules"]) == 3,
    ]
    return any(whole)


# CloudFormation


def _template(**resources: Any) -> str:
    return json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources})


def _queue(**properties: Any) -> Answer:
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


@_probe("cloudformation/stacks.py")
def moto_ignores_a_resource_of_an_unknown_type() -> bool:
    client = _client("cloudformation")
    return not _fails(
        lambda: client.create_stack(StackName="s", TemplateBody=_template(Thing={"Type": "AWS::Nothing::Thing"}))
    )


@_probe("cloudformation/stacks.py")
def moto_does_not_update_a_resource_whose_reference_changed() -> bool:
    client, ssm = _client("cloudformation"), _client("ssm")
    follower = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Name": "follower", "Type": "String", "Value": {"Fn::GetAtt": ["Queue", "QueueName"]}},
    }
    client.create_stack(StackName="s", TemplateBody=_template(Queue=_queue(QueueName="one"), Follower=follower))
    client.update_stack(StackName="s", TemplateBody=_template(Queue=_queue(QueueName="two"), Follower=follower))
    return str(ssm.get_parameter(Name="follower")["Parameter"]["Value"]) != "two"


@_probe("cloudformation/stacks.py")
def moto_raises_the_failure_of_a_resource_to_the_caller() -> bool:
    client = _client("cloudformation")
    rule = {
        "Type": "AWS::Events::Rule",
        "Properties": {"EventBusName": "missing", "ScheduleExpression": "rate(1 hour)"},
    }
    if _fails(lambda: client.create_stack(StackName="s", TemplateBody=_template(Rule=rule))):
        return True
    (stack,) = client.describe_stacks(StackName="s")["Stacks"]
    return bool(stack["StackStatus"] != "CREATE_FAILED")


@_probe("cloudformation/stacks.py")
def moto_generates_names_that_are_too_long() -> bool:
    client = _client("cloudformation")
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": json.loads(_TRUST)}}
    name = "a-stack-name-" * 9
    if _fails(lambda: client.create_stack(StackName=name.strip("-"), TemplateBody=_template(Role=role))):
        return True
    return any(len(role["RoleName"]) > 64 for role in _client("iam").list_roles()["Roles"])


@_probe("cloudformation/stacks.py")
def moto_fails_on_a_kept_ssm_parameter_in_a_change_set() -> bool:
    client = _client("cloudformation")
    _client("ssm").put_parameter(Name="/name", Value="one", Type="String")
    parameter = {"Type": "AWS::SSM::Parameter::Value<String>"}
    template = json.loads(_template(Queue=_queue(QueueName={"Ref": "Name"}))) | {"Parameters": {"Name": parameter}}
    new_parameter = {"ParameterKey": "Name", "ParameterValue": "/name"}
    client.create_stack(StackName="s", TemplateBody=json.dumps(template), Parameters=[new_parameter])
    template["Resources"]["Other"] = _queue()
    kept_parameter = {"ParameterKey": "Name", "UsePreviousValue": True}

    def update() -> None:
        client.create_change_set(
            StackName="s",
            ChangeSetName="c",
            ChangeSetType="UPDATE",
            TemplateBody=json.dumps(template),
            Parameters=[kept_parameter],
        )
        client.execute_change_set(StackName="s", ChangeSetName="c")

    return _fails(update)


@_probe("cloudformation/change_sets.py")
def moto_finds_a_change_set_without_its_stack() -> bool:
    client = _client("cloudformation")
    for stack in ("one", "two"):
        client.create_change_set(
            StackName=stack, ChangeSetName="cdk", ChangeSetType="CREATE", TemplateBody=_template(Queue=_queue())
        )
    described = [
        client.describe_change_set(StackName=stack, ChangeSetName="cdk")["StackName"] for stack in ("one", "two")
    ]
    return described != ["one", "two"]


@_probe("cloudformation/change_sets.py")
def moto_gives_no_outputs_to_a_stack_of_a_change_set() -> bool:
    client = _client("cloudformation")
    outputs = {"Name": {"Value": {"Ref": "Queue"}, "Export": {"Name": "exported"}}}
    template = json.loads(_template(Queue=_queue())) | {"Outputs": outputs}
    client.create_change_set(
        StackName="s", ChangeSetName="cdk", ChangeSetType="CREATE", TemplateBody=json.dumps(template)
    )
    client.execute_change_set(StackName="s", ChangeSetName="cdk")
    (stack,) = client.describe_stacks(StackName="s")["Stacks"]
    return not stack.get("Outputs") or not client.list_exports()["Exports"]


@_probe("cloudformation/termination_protection.py")
def moto_has_no_update_of_termination_protection() -> bool:
    client = _client("cloudformation")
    client.create_stack(StackName="s", TemplateBody=_template(Queue=_queue()))
    return _fails(lambda: client.update_termination_protection(StackName="s", EnableTerminationProtection=True))


@_probe("cloudformation/termination_protection.py")
def moto_deletes_a_protected_stack() -> bool:
    client = _client("cloudformation")
    client.create_stack(StackName="s", TemplateBody=_template(Queue=_queue()), EnableTerminationProtection=True)
    return not _fails(lambda: client.delete_stack(StackName="s"))


# CloudWatch and CloudWatch Logs


def _put_alarm(client: Any, name: str) -> None:
    client.put_metric_alarm(
        AlarmName=name, Namespace="n", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip


def _state(client: Any, name: str) -> str:
    (alarm,) = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(alarm["StateValue"])


@_probe("cloudwatch/alarm_operations.py")
def moto_begins_an_alarm_as_ok() -> bool:
    client = _client("cloudwatch")
    _put_alarm(client, "a")
    return _state(client, "a") != "INSUFFICIENT_DATA"


@_probe("cloudwatch/alarm_operations.py")
def moto_loses_the_state_of_an_alarm_that_is_put_again() -> bool:
    client = _client("cloudwatch")
    _put_alarm(client, "a")
    client.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="set by an operator")
    _put_alarm(client, "a")
    return _state(client, "a") != "ALARM"


@_probe("cloudwatch/alarm_operations.py")
def moto_applies_one_filter_of_describe_alarms() -> bool:
    client = _client("cloudwatch")
    _put_alarm(client, "a")
    client.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="set by an operator")
    return bool(client.describe_alarms(AlarmNamePrefix="a", StateValue="OK")["MetricAlarms"])


@_probe("cloudwatch/alarm_operations.py")
def moto_has_no_composite_alarms() -> bool:
    client = _client("cloudwatch")
    return _fails(lambda: client.put_composite_alarm(AlarmName="c", AlarmRule="TRUE"))


@_probe("cloudwatch/alarm_history.py")
def moto_has_no_alarm_history() -> bool:
    return _fails(lambda: _client("cloudwatch").describe_alarm_history())


@_probe("cloudwatch/alarm_mute_rules.py")
def moto_has_no_alarm_mute_rules() -> bool:
    return _fails(lambda: _client("cloudwatch").list_alarm_mute_rules())


def _put_metric(client: Any, *dimensions: tuple[str, str]) -> None:
    pairs = [{"Name": name, "Value": value} for name, value in dimensions]
    client.put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", "Dimensions": pairs, "Value": 1.0}])


@_probe("cloudwatch/metric_statistics.py")
def moto_adds_metrics_with_more_dimensions_to_a_statistic() -> bool:
    client, now = _client("cloudwatch"), time.time()
    _put_metric(client, ("a", "1"))
    _put_metric(client, ("a", "1"), ("b", "2"))
    points = client.get_metric_statistics(
        Namespace="n", MetricName="m", Dimensions=[{"Name": "a", "Value": "1"}], StartTime=now - 300, EndTime=now + 300,
        Period=3600, Statistics=["Sum"],
    )["Datapoints"]  # fmt: skip
    return [point["Sum"] for point in points] != [1.0]


@_probe("cloudwatch/metric_statistics.py")
def moto_misses_a_metric_whose_dimensions_come_in_another_order() -> bool:
    client, now = _client("cloudwatch"), time.time()
    values = {"a": "z", "b": "z"}  # moto compares a value with the other name
    _put_metric(client, ("a", "z"), ("b", "z"))
    for order in (("a", "b"), ("b", "a")):
        metric = {
            "Namespace": "n",
            "MetricName": "m",
            "Dimensions": [{"Name": name, "Value": values[name]} for name in order],
        }
        query = {"Id": "q", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Sum"}}
        answer = client.get_metric_data(MetricDataQueries=[query], StartTime=now - 300, EndTime=now + 300)
        if answer["MetricDataResults"][0]["Values"] != [1.0]:
            return True
    return False


@_probe("cloudwatch/metric_statistics.py")
def moto_answers_500_to_a_percentile() -> bool:
    client, now = _client("cloudwatch"), time.time()
    data = [{"MetricName": "m", "Values": [float(value) for value in range(1, 101)]}]
    client.put_metric_data(Namespace="percentile", MetricData=data)
    stat = {"Metric": {"Namespace": "percentile", "MetricName": "m"}, "Period": 3600, "Stat": "p95"}
    query = {"Id": "q", "MetricStat": stat}
    try:
        answer = client.get_metric_data(MetricDataQueries=[query], StartTime=now - 300, EndTime=now + 300)
    except Exception:  # noqa: BLE001 - botocore can't parse the answer, or it has status 500
        return True
    return list(answer["MetricDataResults"][0]["Values"]) != [95.0]


@_probe("cloudwatch/metric_filters.py")
def moto_keeps_two_metric_filters_of_one_name() -> bool:
    client = _client("logs")
    client.create_log_group(logGroupName="g")
    transformation = {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}
    for pattern in ("one", "two"):
        client.put_metric_filter(
            logGroupName="g", filterName="f", filterPattern=pattern, metricTransformations=[transformation]
        )
    return len(list(client.describe_metric_filters(logGroupName="g")["metricFilters"])) != 1


# ECS, Application Auto Scaling, ECR, EventBridge


def _register(client: Any, **container: Any) -> Answer:
    definition = {"name": "c", "image": "i", "memory": 128, **container}
    answer: Answer = client.register_task_definition(family="f", containerDefinitions=[definition])["taskDefinition"]
    return answer


@_probe("ecs/cluster_settings.py")
def moto_shows_cluster_settings_unasked() -> bool:
    client = _client("ecs")
    client.create_cluster(clusterName="c", settings=[{"name": "containerInsights", "value": "enabled"}])
    (cluster,) = client.describe_clusters(clusters=["c"])["clusters"]
    return bool(cluster.get("settings"))


@_probe("ecs/task_definitions.py")
def moto_does_not_say_when_a_definition_was_registered() -> bool:
    return "registeredAt" not in _register(_client("ecs"))


@_probe("ecs/task_definitions.py")
def moto_describes_a_deregistered_definition_as_the_latest() -> bool:
    client = _client("ecs")
    first, second = _register(client), _register(client)
    client.deregister_task_definition(taskDefinition=second["taskDefinitionArn"])
    latest = client.describe_task_definition(taskDefinition="f")["taskDefinition"]
    return bool(latest["taskDefinitionArn"] != first["taskDefinitionArn"])


@_probe("ecs/task_definitions.py")
def moto_takes_secrets_without_an_execution_role() -> bool:
    secret = {"name": "S", "valueFrom": f"arn:aws:secretsmanager:us-east-1:{_ACCOUNT}:secret:s"}
    return not _fails(lambda: _register(_client("ecs"), secrets=[secret]))


@_probe("ecs/scalable_targets.py")
def moto_omits_the_suspended_state_of_a_scalable_target() -> bool:
    ecs, scaling = _client("ecs"), _client("application-autoscaling")
    ecs.create_cluster(clusterName="c")
    _register(ecs)
    ecs.create_service(cluster="c", serviceName="s", taskDefinition="f", desiredCount=1)
    scaling.register_scalable_target(
        ServiceNamespace="ecs", ResourceId="service/c/s", ScalableDimension="ecs:service:DesiredCount",
        MinCapacity=1, MaxCapacity=2,
    )  # fmt: skip
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    return len(target.get("SuspendedState") or {}) != 3


def _manifest(annotation: str, layer: str = "a") -> str:
    descriptor = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": f"sha256:{layer * 64}", "size": 2}
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor,
            "layers": [descriptor],
            "annotations": {"a": annotation},
        }
    )


def _push(client: Any, tag: str, manifest: str) -> str:
    answer = client.put_image(repositoryName="images", imageManifest=manifest, imageTag=tag)
    return str(answer["image"]["imageId"]["imageDigest"])


@contextlib.contextmanager
def _repository(**settings: Any) -> Iterator[Any]:
    client = _client("ecr")
    client.create_repository(repositoryName="images", **settings)
    yield client


@_probe("ecr_images.py")
def moto_gives_one_digest_to_two_manifests_of_the_same_layers() -> bool:
    with _repository() as client:
        return _push(client, "one", _manifest("1")) == _push(client, "two", _manifest("2"))


@_probe("ecr_images.py")
def moto_deletes_an_image_whose_tag_moves() -> bool:
    with _repository() as client:
        digest = _push(client, "t", _manifest("1"))
        _push(client, "t", _manifest("2", layer="b"))
        return digest not in {
            image["imageDigest"] for image in client.describe_images(repositoryName="images")["imageDetails"]
        }


@_probe("ecr_images.py")
def moto_refuses_to_move_an_immutable_tag_with_another_code() -> bool:
    from botocore.exceptions import ClientError  # noqa: PLC0415

    with _repository(imageTagMutability="IMMUTABLE") as client:
        _push(client, "t", _manifest("1"))
        try:
            _push(client, "t", _manifest("2", layer="b"))
        except ClientError as error:
            return bool(error.response["Error"]["Code"] != "ImageTagAlreadyExistsException")
        return True


@_probe("ecr_images.py")
def moto_names_another_tag_than_the_requested_one() -> bool:
    with _repository() as client:
        _push(client, "one", _manifest("1"))
        _push(client, "two", _manifest("1"))
        tags = [
            client.batch_get_image(repositoryName="images", imageIds=[{"imageTag": tag}])["images"][0]["imageId"][
                "imageTag"
            ]
            for tag in ("one", "two")
        ]
        return tags != ["one", "two"]


@_probe("ecr_images.py")
def moto_deletes_an_untagged_image_without_naming_its_digest() -> bool:
    with _repository() as client:
        answer = client.put_image(repositoryName="images", imageManifest=_manifest("1"))
        digest = answer["image"]["imageId"]["imageDigest"]
        deleted = client.batch_delete_image(repositoryName="images", imageIds=[{"imageDigest": digest}])
        return {"imageDigest": digest} not in deleted["imageIds"]


@_probe("event_patterns.py")
def moto_matches_no_field_of_an_object_in_an_array() -> bool:
    from moto.events.models import EventPattern  # noqa: PLC0415

    pattern = EventPattern.load(json.dumps({"detail": {"containers": {"name": ["web"]}}}))
    return not pattern.matches_event({"detail": {"containers": [{"name": "web"}]}})


@_probe("put_events.py")
def moto_takes_events_of_aws_sources() -> bool:
    entry = {"Source": "aws.ecs", "DetailType": "t", "Detail": "{}"}
    return bool(_client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0)


# Step Functions


def _machine(definition: Answer) -> tuple[Any, str]:
    client = _client("stepfunctions")
    role = f"arn:aws:iam::{_ACCOUNT}:role/r"
    answer = client.create_state_machine(name="m", definition=json.dumps(definition), roleArn=role)
    return client, str(answer["stateMachineArn"])


def _one_state(**state: Any) -> Answer:
    return {"StartAt": "S", "States": {"S": {"End": True, **state}}}


def _ended(client: Any, execution_arn: str) -> Answer:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        answer: Answer = client.describe_execution(executionArn=execution_arn)
        if answer["status"] != "RUNNING":
            return answer
        time.sleep(0.05)
    raise TimeoutError(f"{execution_arn} runs for more than 10 seconds")


def _parsed_time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def _run(definition: Answer, data: Any = None) -> Answer:
    client, arn = _machine(definition)
    started = client.start_execution(stateMachineArn=arn, name="e", input=json.dumps(data or {}))
    return _ended(client, started["executionArn"])


def _waiting_for_token() -> tuple[Any, str, str]:
    """Start an execution whose task waits for a token; return the client, the execution's ARN and the token."""
    queue = _client("sqs").create_queue(QueueName="q")["QueueUrl"]
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody.$": "$$.Task.Token"},
    }
    client, arn = _machine(_one_state(**task))
    execution = client.start_execution(stateMachineArn=arn, name="e", input="{}")["executionArn"]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        messages = _client("sqs").receive_message(QueueUrl=queue).get("Messages")
        if messages:
            return client, str(execution), str(messages[0]["Body"])
        time.sleep(0.05)
    raise TimeoutError("no task token was sent within 10 seconds")


def _code(call: Callable[[], Any]) -> str:
    """Return the code of the error that a call raises; empty if it raises none."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


@_probe("step_functions/definition.py")
def moto_takes_a_definition_with_a_missing_target() -> bool:
    machine = {"StartAt": "S", "States": {"S": {"Type": "Pass", "Next": "Missing"}}}
    return not _fails(lambda: _machine(machine))


@_probe("step_functions/api.py")
def moto_names_an_unnamed_execution_none() -> bool:
    client, arn = _machine(_one_state(Type="Pass"))
    return str(client.start_execution(stateMachineArn=arn)["executionArn"]).endswith(":None")


@_probe("step_functions/api.py")
def moto_drops_the_cause_of_a_failed_task() -> bool:
    client, execution, token = _waiting_for_token()
    client.send_task_failure(taskToken=token, error="Refused", cause="because")
    return _ended(client, execution).get("cause") != "because"


@_probe("step_functions/api.py")
def moto_ignores_the_reverse_order_of_a_history() -> bool:
    client, arn = _machine(_one_state(Type="Pass"))
    execution = client.start_execution(stateMachineArn=arn, name="e")["executionArn"]
    _ended(client, execution)
    return bool(client.get_execution_history(executionArn=execution, reverseOrder=True)["events"][0]["id"] == 1)


@_probe("step_functions/api.py")
def moto_omits_the_stop_date_of_an_execution_that_timed_out() -> bool:
    machine = _one_state(Type="Wait", Seconds=5) | {"TimeoutSeconds": 1}
    answer = _run(machine)
    return answer["status"] == "TIMED_OUT" and "stopDate" not in answer


@_probe("step_functions/api.py")
def moto_writes_an_output_that_is_a_text_without_quotes() -> bool:
    return str(_run(_one_state(Type="Pass", Result="text"))["output"]) != '"text"'


@_probe("step_functions/executions.py")
def moto_gives_no_iso_text_as_start_time() -> bool:
    definition = _one_state(Type="Pass", Parameters={"at.$": "$$.Execution.StartTime"})
    return _fails(lambda: _parsed_time(str(json.loads(_run(definition)["output"])["at"])))


@_probe("step_functions/executions.py")
def moto_has_no_redrive_count() -> bool:
    answer = _run(_one_state(Type="Pass", Parameters={"count.$": "$$.Execution.RedriveCount"}))
    return bool(answer["status"] != "SUCCEEDED" or json.loads(answer["output"]) != {"count": 0})


@_probe("step_functions/executions.py")
def moto_drops_the_cause_of_a_stopped_execution() -> bool:
    client, arn = _machine(_one_state(Type="Wait", Seconds=5))
    execution = client.start_execution(stateMachineArn=arn, name="e")["executionArn"]
    time.sleep(0.3)
    client.stop_execution(executionArn=execution, error="Stopped", cause="because")
    return _ended(client, execution).get("cause") != "because"


@_probe("step_functions/executions.py")
def moto_leaves_an_execution_running_whose_task_waits_for_a_token() -> bool:
    client, execution, _ = _waiting_for_token()
    client.stop_execution(executionArn=execution)
    time.sleep(1.0)
    return str(client.describe_execution(executionArn=execution)["status"]) != "ABORTED"


@_probe("step_functions/errors.py")
def moto_catches_a_runtime_error_as_states_all() -> bool:
    queue = _client("sqs").create_queue(QueueName="q")["QueueUrl"]
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage",
        "Parameters": {"QueueUrl": queue, "MessageBody.$": "$.missing"},
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
        "End": True,
    }
    machine = {"StartAt": "S", "States": {"S": task, "Caught": {"Type": "Pass", "End": True}}}
    return str(_run(machine)["status"]) == "SUCCEEDED"


def _choice(**rule: Any) -> Answer:
    end = {"Type": "Pass", "End": True}
    choice = {"Type": "Choice", "Choices": [{**rule, "Next": "End"}]}
    return {"StartAt": "S", "States": {"S": choice, "End": end}}


@_probe("step_functions/errors.py")
def moto_does_not_name_the_error_of_a_choice_without_a_match() -> bool:
    answer = _run(_choice(Variable="$.a", StringEquals="x"), {"a": "y"})
    return answer.get("error") != "States.NoChoiceMatched"


@_probe("step_functions/errors.py")
def moto_compares_an_absent_variable() -> bool:
    machine = _choice(Variable="$.missing", StringEquals="x")
    machine["States"]["S"]["Default"] = "End"
    return str(_run(machine)["status"]) == "SUCCEEDED"


@_probe("step_functions/paths.py")
def moto_reads_a_definite_path_as_a_list() -> bool:
    answer = _run(_one_state(Type="Pass", Parameters={"x.$": "$.a[0].b"}), {"a": [{"b": 1}]})
    return bool(json.loads(answer["output"]) != {"x": 1})


@_probe("step_functions/tokens.py")
def moto_takes_a_used_token_for_an_unknown_one() -> bool:
    client, execution, token = _waiting_for_token()
    client.send_task_success(taskToken=token, output="{}")
    _ended(client, execution)
    return _code(lambda: client.send_task_success(taskToken=token, output="{}")) != "TaskTimedOut"


@_probe("step_functions/tokens.py")
def moto_takes_an_output_that_is_no_json() -> bool:
    client, _, token = _waiting_for_token()
    return _code(lambda: client.send_task_success(taskToken=token, output="{")) != "InvalidOutput"


def run_all() -> dict[str, bool | str]:
    """Run each probe on an empty moto; an unexpected error is the probe's result."""
    from moto import mock_aws  # noqa: PLC0415

    results: dict[str, bool | str] = {}
    for name, probe in PROBES.items():
        with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
            try:
                results[name] = probe.is_wrong()
            except Exception as error:  # noqa: BLE001 - reported as the result of the probe
                results[name] = f"{type(error).__name__}: {error}"
    return results


if __name__ == "__main__":
    print(json.dumps(run_all()))  # noqa: T201
