"""CloudFormation types of the serverless services: Lambda, Step Functions, EventBridge, SNS, SQS, DynamoDB."""

import json
from typing import Any

from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend

from local_cloud.cloudformation.types import Properties, Resource, ResourceType, tag_map, without
from local_cloud.listing import list_all

_FUNCTION_SET_BY_OTHER_CALLS = (
    "Code",
    "Tags",
    "ReservedConcurrentExecutions",
    "RecursiveLoop",
    "RuntimeManagementConfig",
)
_TABLE_SET_BY_OTHER_CALLS = (
    "PointInTimeRecoverySpecification",
    "TimeToLiveSpecification",
    "KinesisStreamSpecification",
    "ContributorInsightsSpecification",
    "ImportSourceSpecification",
)
_QUEUE_SET_BY_OTHER_CALLS = ("QueueName", "Tags")


def _tagged_map(properties: Properties) -> Properties:
    tags = properties.get("Tags")
    return without(properties, "Tags") | ({"Tags": tag_map(tags)} if tags else {})


def _function_parameters(properties: Properties) -> Properties:
    parameters = without(_tagged_map(properties), *_FUNCTION_SET_BY_OTHER_CALLS[2:])
    code = dict(parameters["Code"])
    if "ZipFile" in code:  # a template holds source text, and the API takes an archive
        code["ZipFile"] = LambdaFunction._create_zipfile_from_plaintext_code(code["ZipFile"])
    return parameters | {"Code": code}


def _moto_function(resource: Resource) -> Any:
    return get_backend(resource.account, resource.region).get_function(resource.name)


def _finish_function(client: Any, resource: Resource) -> None:
    """Keep settings that moto's API drops and `local_cloud.functions` needs."""
    function, properties = _moto_function(resource), resource.properties
    function.configured_log_group = properties.get("LoggingConfig", {}).get("LogGroup")
    function.dead_letter_target = properties.get("DeadLetterConfig", {}).get("TargetArn")
    concurrency = properties.get("ReservedConcurrentExecutions")
    if concurrency is not None:
        client.put_function_concurrency(FunctionName=resource.name, ReservedConcurrentExecutions=int(concurrency))
    elif function.reserved_concurrency is not None:
        client.delete_function_concurrency(FunctionName=resource.name)


def _update_function(_client: Any, resource: Resource, parameters: Properties) -> None:
    defaults = {"Environment": {"Variables": {}}, "Timeout": 3, "MemorySize": 128, "Layers": []}
    changes = defaults | without(parameters, *_FUNCTION_SET_BY_OTHER_CALLS, "PackageType", "Architectures")
    resource.call("update_function_configuration", changes)
    resource.call("update_function_code", parameters["Code"] | {"FunctionName": resource.name})


def _permission_parameters(properties: Properties) -> Properties:
    return properties | {"StatementId": properties["StatementId"]}


def _state_machine_parameters(properties: Properties) -> Properties:
    parameters = dict(properties)
    definition = parameters.pop("DefinitionString", None) or json.dumps(parameters.pop("Definition"))
    for name, value in parameters.pop("DefinitionSubstitutions", {}).items():
        definition = definition.replace(f"${{{name}}}", str(value))
    renamed = {"StateMachineName": "Name", "StateMachineType": "Type"}
    return {renamed.get(name, name): value for name, value in parameters.items()} | {"Definition": definition}


def _update_state_machine(_client: Any, machine: Resource, parameters: Properties) -> None:
    changes = without(parameters, "Name", "Type", "Tags")
    machine.call("update_state_machine", changes | {"StateMachineArn": machine.response["stateMachineArn"]})


def _rule_bus(rule: Resource) -> str:
    return str(rule.properties.get("EventBusName", "default"))


def _rule_parameters(properties: Properties) -> Properties:
    return without(properties, "Targets")


def _replace_targets(client: Any, rule: Resource) -> None:
    """Replace the rule's targets, with their RetryPolicy, DeadLetterConfig and RoleArn."""
    targets = rule.properties.get("Targets", [])
    existing = list_all(client, "list_targets_by_rule", "Targets", Rule=rule.name, EventBusName=_rule_bus(rule))
    removed_ids = {target["Id"] for target in existing} - {target["Id"] for target in targets}
    if removed_ids:
        client.remove_targets(Rule=rule.name, EventBusName=_rule_bus(rule), Ids=sorted(removed_ids))
    if targets:
        rule.call("put_targets", {"Rule": rule.name, "EventBusName": _rule_bus(rule), "Targets": targets})


def _delete_rule(client: Any, rule: Resource) -> None:
    bus = _rule_bus(rule)
    targets = list_all(client, "list_targets_by_rule", "Targets", Rule=rule.name, EventBusName=bus)
    if targets:
        client.remove_targets(Rule=rule.name, EventBusName=bus, Ids=[target["Id"] for target in targets])
    client.delete_rule(Name=rule.name, EventBusName=bus)


def _rule_arn(rule: Resource) -> str:
    return str(rule.response["RuleArn"])


def _rule_id(rule: Resource) -> str:
    """Return a rule's name, with the bus before it unless that is the default bus."""
    return rule.name if _rule_bus(rule) == "default" else f"{_rule_bus(rule)}|{rule.name}"


def _topic_parameters(properties: Properties) -> Properties:
    own = {"TopicName", "Tags", "Subscription", "DataProtectionPolicy", "ArchivePolicy", "DeliveryStatusLogging"}
    attributes = {name: str(value).lower() if isinstance(value, bool) else value
                  for name, value in properties.items() if name not in own}  # fmt: skip
    return {"Name": properties["TopicName"], "Tags": properties.get("Tags", []), "Attributes": attributes}


def _topic_subscriptions(client: Any, topic: Resource) -> None:
    for subscription in topic.properties.get("Subscription", []):
        client.subscribe(
            TopicArn=_topic_arn(topic), Protocol=subscription["Protocol"], Endpoint=subscription["Endpoint"]
        )


def _topic_arn(topic: Resource) -> str:
    return str(topic.response["TopicArn"])


def _update_topic(client: Any, topic: Resource, parameters: Properties) -> None:
    for name, value in parameters["Attributes"].items():
        client.set_topic_attributes(TopicArn=_topic_arn(topic), AttributeName=name, AttributeValue=str(value))


def _subscription_parameters(properties: Properties) -> Properties:
    own = {"TopicArn", "Protocol", "Endpoint", "Region"}
    attributes = {name: value for name, value in properties.items() if name not in own}
    parameters = {name: properties[name] for name in ("TopicArn", "Protocol", "Endpoint") if name in properties}
    return parameters | {"Attributes": attributes, "ReturnSubscriptionArn": True}


def _subscription_arn(subscription: Resource) -> str:
    return str(subscription.response["SubscriptionArn"])


def _set_topic_policy(client: Any, policy: Resource) -> None:
    document = json.dumps(policy.properties["PolicyDocument"])
    for arn in policy.properties["Topics"]:
        client.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=document)


def _set_queue_policy(client: Any, policy: Resource) -> None:
    document = json.dumps(policy.properties["PolicyDocument"])
    for url in policy.properties["Queues"]:
        client.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document})


def _queue_attributes(properties: Properties) -> dict[str, str]:
    attributes = without(properties, *_QUEUE_SET_BY_OTHER_CALLS)
    return {
        name: json.dumps(value) if isinstance(value, dict | bool) else str(value) for name, value in attributes.items()
    }


def _queue_parameters(properties: Properties) -> Properties:
    tags = tag_map(properties.get("Tags"))
    return {"QueueName": properties["QueueName"][:80], "tags": tags, "Attributes": _queue_attributes(properties)}


def _queue_url(queue: Resource) -> str:
    return str(queue.response["QueueUrl"])


def _update_queue(client: Any, queue: Resource, parameters: Properties) -> None:
    client.set_queue_attributes(QueueUrl=_queue_url(queue), Attributes=parameters["Attributes"])


def _table_parameters(properties: Properties) -> Properties:
    parameters = without(properties, *_TABLE_SET_BY_OTHER_CALLS)
    policy = parameters.pop("ResourcePolicy", None)
    if policy:
        parameters["ResourcePolicy"] = json.dumps(policy["PolicyDocument"])
    sse = parameters.pop("SSESpecification", None)
    if sse:
        enabled = sse.get("SSEEnabled")
        parameters["SSESpecification"] = without(sse, "SSEEnabled") | ({"Enabled": enabled} if enabled else {})
    stream = parameters.pop("StreamSpecification", None)
    if stream:
        parameters["StreamSpecification"] = {"StreamViewType": stream["StreamViewType"], "StreamEnabled": True}
    parameters.setdefault("BillingMode", "PROVISIONED")
    return parameters


def _global_table_parameters(properties: Properties) -> Properties:
    """Turn a global table of one replica into a table. The embedded cloud has no second region for another replica."""
    replicas = properties["Replicas"]
    if len(replicas) != 1:
        raise NotImplementedError(f"the embedded cloud has one region: a global table of {len(replicas)} replicas")
    table_properties = ("TableName", "AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes",
            "LocalSecondaryIndexes", "StreamSpecification", "SSESpecification")  # fmt: skip
    replica = {name: replicas[0][name] for name in ("DeletionProtectionEnabled", "Tags") if name in replicas[0]}
    return _table_parameters({name: properties[name] for name in table_properties if name in properties} | replica)


def _finish_table(client: Any, table: Resource) -> None:
    properties = table.properties | (table.properties.get("Replicas") or [{}])[0]
    recovery = properties.get("PointInTimeRecoverySpecification")
    if recovery:
        client.update_continuous_backups(TableName=table.name, PointInTimeRecoverySpecification=recovery)
    expiry = table.properties.get("TimeToLiveSpecification")
    if (
        expiry
        and client.describe_time_to_live(TableName=table.name)["TimeToLiveDescription"]["TimeToLiveStatus"] != "ENABLED"
    ):
        client.update_time_to_live(TableName=table.name, TimeToLiveSpecification=expiry)
    table.response = {"TableDescription": client.describe_table(TableName=table.name)["Table"]}


def _update_table(client: Any, table: Resource, parameters: Properties) -> None:
    protection = bool(parameters.get("DeletionProtectionEnabled"))
    client.update_table(TableName=table.name, DeletionProtectionEnabled=protection)


def _table_attribute(name: str) -> Any:
    return lambda table: table.response["TableDescription"][name]


def _schedule_group(schedule: Resource) -> str:
    return str(schedule.properties.get("GroupName", "default"))


def _delete_schedule(client: Any, schedule: Resource) -> None:
    client.delete_schedule(Name=schedule.name, GroupName=_schedule_group(schedule))


_TABLE: dict[str, Any] = {
    "service": "dynamodb",
    "create": "create_table",
    "name_property": "TableName",
    "physical_id": lambda table: table.name,
    "attributes": {"Arn": _table_attribute("TableArn"), "StreamArn": _table_attribute("LatestStreamArn"),
                   "TableId": _table_attribute("TableId")},
    "finish": _finish_table,
    "update": _update_table,
    "delete": lambda client, table: client.delete_table(TableName=table.name),
    "replaced_by": ("KeySchema",),
}  # fmt: skip

TYPES: tuple[ResourceType, ...] = (
    ResourceType(
        "AWS::Lambda::Function", "lambda", "create_function",
        name_property="FunctionName",
        physical_id=lambda function: function.name,
        attributes={"Arn": lambda function: function.response["FunctionArn"]},
        parameters=_function_parameters,
        finish=_finish_function,
        update=_update_function,
        delete=lambda client, function: client.delete_function(FunctionName=function.name),
        replaced_by=("PackageType",),
    ),
    ResourceType(
        "AWS::Lambda::Permission", "lambda", "add_permission",
        name_property="StatementId",
        physical_id=lambda permission: permission.name,
        parameters=_permission_parameters,
        delete=lambda client, permission: client.remove_permission(
            FunctionName=permission.properties["FunctionName"], StatementId=permission.name
        ),
    ),
    ResourceType(
        "AWS::Lambda::EventInvokeConfig", "lambda", "put_function_event_invoke_config",
        physical_id=lambda config: f"{config.properties['FunctionName']}|{config.properties['Qualifier']}",
        parameters=lambda properties: without(properties, "Qualifier"),
        delete=lambda client, config: client.delete_function_event_invoke_config(
            FunctionName=config.properties["FunctionName"]
        ),
    ),
    ResourceType(
        "AWS::StepFunctions::StateMachine", "stepfunctions", "create_state_machine",
        name_property="StateMachineName",
        physical_id=lambda machine: str(machine.response["stateMachineArn"]),
        attributes={"Arn": lambda machine: machine.response["stateMachineArn"],
                    "Name": lambda machine: machine.name},
        parameters=_state_machine_parameters,
        update=_update_state_machine,
        delete=lambda client, machine: client.delete_state_machine(
            stateMachineArn=machine.response["stateMachineArn"]
        ),
        replaced_by=("StateMachineType",),
    ),
    ResourceType(
        "AWS::Events::Rule", "events", "put_rule",
        name_property="Name",
        physical_id=_rule_id,
        attributes={"Arn": _rule_arn},
        parameters=_rule_parameters,
        finish=_replace_targets,
        update=lambda _, rule, parameters: rule.response.update(rule.call("put_rule", parameters)),
        delete=_delete_rule,
        replaced_by=("EventBusName",),
    ),
    ResourceType(
        "AWS::Scheduler::ScheduleGroup", "scheduler", "create_schedule_group",
        name_property="Name",
        physical_id=lambda group: group.name,
        attributes={"Arn": lambda group: group.response["ScheduleGroupArn"]},
        delete=lambda client, group: client.delete_schedule_group(Name=group.name),
    ),
    ResourceType(
        "AWS::Scheduler::Schedule", "scheduler", "create_schedule",
        name_property="Name",
        physical_id=lambda schedule: schedule.name,
        attributes={"Arn": lambda schedule: schedule.response["ScheduleArn"]},
        update=lambda _, schedule, parameters: schedule.response.update(
            schedule.call("update_schedule", parameters)
        ),
        delete=_delete_schedule,
        replaced_by=("GroupName",),
    ),
    ResourceType(
        "AWS::SNS::Topic", "sns", "create_topic",
        name_property="TopicName",
        physical_id=_topic_arn,
        attributes={"TopicArn": _topic_arn, "TopicName": lambda topic: topic.name},
        parameters=_topic_parameters,
        finish=_topic_subscriptions,
        update=_update_topic,
        delete=lambda client, topic: client.delete_topic(TopicArn=_topic_arn(topic)),
        replaced_by=("FifoTopic",),
    ),
    ResourceType(
        "AWS::SNS::Subscription", "sns", "subscribe",
        physical_id=_subscription_arn,
        attributes={"Arn": _subscription_arn},
        parameters=_subscription_parameters,
        delete=lambda client, subscription: client.unsubscribe(SubscriptionArn=_subscription_arn(subscription)),
    ),
    ResourceType(
        "AWS::SNS::TopicPolicy", "sns", "list_topics",  # without effect: `finish` sets the policy
        physical_id=lambda policy: policy.name,
        attributes={"Id": lambda policy: policy.name},
        parameters=lambda _: {},
        finish=_set_topic_policy,
        update=lambda *_: None,
    ),
    ResourceType(
        "AWS::SQS::Queue", "sqs", "create_queue",
        name_property="QueueName",
        physical_id=_queue_url,
        attributes={
            "Arn": lambda queue: f"arn:aws:sqs:{queue.region}:{queue.account}:{queue.name[:80]}",
            "QueueName": lambda queue: queue.name[:80],
            "QueueUrl": _queue_url,
        },
        parameters=_queue_parameters,
        update=_update_queue,
        delete=lambda client, queue: client.delete_queue(QueueUrl=_queue_url(queue)),
        replaced_by=("FifoQueue",),
    ),
    ResourceType(
        "AWS::SQS::QueuePolicy", "sqs", "list_queues",
        physical_id=lambda policy: policy.name,
        attributes={"Id": lambda policy: policy.name},
        parameters=lambda _: {},
        finish=_set_queue_policy,
        update=lambda *_: None,
    ),
    ResourceType("AWS::DynamoDB::Table", parameters=_table_parameters, **_TABLE),
    ResourceType("AWS::DynamoDB::GlobalTable", parameters=_global_table_parameters, **_TABLE),
)  # fmt: skip
