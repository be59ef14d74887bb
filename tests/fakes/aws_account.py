"""The reading calls of `rollback doctor` on an account in which everything is as the stack leaves it."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, TypeVar

from botocore import xform_name
from fakes.aws.request_models import check_request

from rollback.domain.settings.environment import SETTINGS_VARIABLE, Settings
from rollback.errors import CallRefused, RefusalKind
from rollback_constructs.workflow import definition as workflow_definition

REGION, ACCOUNT = "eu-west-1", "123456789012"
Answer = dict[str, Any]
T = TypeVar("T")


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


class FakeAccount:
    """AWS's API, with the resources of one environment; a test plants a fault by changing an attribute.

    Attributes:
        denied: (role's name, action) or (role's name, action, resource) that IAM's simulation denies.
        forbidden: operations that the operator may not call.
    """

    def __init__(self, settings: Settings, targets: dict[str, tuple[str, ...]], target_group: str) -> None:
        self.settings, self.region, self.account = settings, REGION, ACCOUNT
        self._prefix = settings.prefix
        self.date = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
        self.stack: Answer = {"StackName": "stack", "StackStatus": "UPDATE_COMPLETE"}
        self.table: Answer = {"TableStatus": "ACTIVE"}
        self.recovery = "ENABLED"
        self.functions = {name: self._function(name) for name in ("decide", "service", "report", "promote", "database")}
        self.machines = {name: self._machine(name) for name in ("rollback", "promotion")}
        self.rules = {name: self._rule(name, arns) for name, arns in targets.items()}
        self.policies = {name: self._function_policy(name) for name in self.functions}
        self.queues = dict.fromkeys(("dead-letters", "failed-invocations"), 0)
        self.queue_policy: Answer = {"Statement": [self._lets_in("sqs:SendMessage", self.rule_arn(r)) for r in targets]}
        self.subscriptions = {name: [self._subscription()] for name in ("rollbacks", "rollbacks-critical")}
        self.balancer, self.group = "app/api/1", target_group.rsplit(":", 1)[-1]
        self.metric_alarms = {name: self._alarm(name, dims) for name, dims in self._leaves().items()}
        rule = " OR ".join(f'ALARM("{arn("cloudwatch", f"alarm:{name}")}")' for name in self.metric_alarms)
        self.composites = {
            f"{self._prefix}-{s}-{kind}": {"AlarmRule": rule, "StateValue": "OK"}
            for s in settings.service_names
            for kind in ("degraded", "outage")
        }
        self.images: list[Answer] = []
        self.lifecycle: Answer | None = None
        self.file_systems: dict[str, str] = {}
        self.denied: set[tuple[str, ...]] = set()
        self.forbidden: set[str] = set()
        self.events: list[Answer] = []
        self.on_event: Callable[[Answer], None] = lambda event: None

    # The state of a healthy account

    def rule_arn(self, name: str) -> str:
        return arn("events", f"rule/{self._prefix}-rollback-{name}")

    def _function(self, name: str) -> Answer:
        variables = {
            SETTINGS_VARIABLE: self.settings.model_dump_json(exclude_defaults=True),
            "NOTIFICATION_TOPIC_ARN": arn("sns", f"{self._prefix}-rollbacks"),
            "CRITICAL_TOPIC_ARN": arn("sns", f"{self._prefix}-rollbacks-critical"),
        }
        return {
            "Role": f"arn:aws:iam::{ACCOUNT}:role/{name}",
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "Environment": {"Variables": variables},
        }

    def _machine(self, name: str) -> Answer:
        has_database = self.settings.database is not None
        definition = workflow_definition(60, has_database=has_database) if name == "rollback" else {"States": {}}
        role = f"arn:aws:iam::{ACCOUNT}:role/{name}-machine"
        return {"status": "ACTIVE", "roleArn": role, "definition": json.dumps(definition)}

    def _rule(self, name: str, arns: tuple[str, ...]) -> Answer:
        full_name = f"{self._prefix}-rollback-{name}"
        resources = [
            *(arn("cloudwatch", f"alarm:{self._prefix}-{s}-{k}") for s in self.settings.service_names for k in _KINDS),
            *(arn("ecs", f"service/{s.cluster}/{s.ecs_service}") for s in self.settings.services),
        ]
        targets = [
            {"Id": str(number), "Arn": target, "DeadLetterConfig": {"Arn": "queue"}}
            | ({"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/rules"} if ":stateMachine:" in target else {})
            for number, target in enumerate(arns)
        ]
        pattern = json.dumps({"resources": resources})
        return {"Name": full_name, "Arn": self.rule_arn(name), "State": "ENABLED", "EventPattern": pattern,
                "targets": targets}  # fmt: skip

    def _function_policy(self, function: str) -> Answer | None:
        target = arn("lambda", f"function:{self._prefix}-rollback-{function}")
        rules = [rule for rule in self.rules.values() if target in {t["Arn"] for t in rule["targets"]}]
        statements = [self._lets_in("lambda:InvokeFunction", rule["Arn"]) for rule in rules]
        return {"Statement": statements} if statements else None

    def _lets_in(self, action: str, rule: str) -> Answer:
        principal, condition = {"Service": "events.amazonaws.com"}, {"ArnLike": {"aws:SourceArn": rule}}
        return {"Effect": "Allow", "Principal": principal, "Action": action, "Condition": condition}

    def _subscription(self) -> Answer:
        return {"Protocol": "email", "Endpoint": "ops@example.org", "SubscriptionArn": arn("sns", "topic:1")}

    def _leaves(self) -> dict[str, dict[str, str]]:
        service = self.settings.services[0]
        group = {"TargetGroup": self.group, "LoadBalancer": self.balancer}
        tasks = {"ClusterName": service.cluster, "ServiceName": service.ecs_service}
        kinds = {"error-rate": {"LoadBalancer": self.balancer}, "no-healthy-targets": group, "task-shortfall": tasks}
        return {f"{self._prefix}-{service.name}-{kind}": dimensions for kind, dimensions in kinds.items()}

    def _alarm(self, name: str, dimensions: dict[str, str]) -> Answer:
        listed = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        return {"AlarmName": name, "StateValue": "OK", "Metrics": [{"MetricStat": {"Metric": {"Dimensions": listed}}}]}

    # Calls

    def call(self, service: str, operation: str, **parameters: Any) -> Answer:
        check_request(service, operation, operation, **parameters)
        if operation in self.forbidden:
            raise CallRefused(
                f"AWS refused {operation}", action=f"{service}:{operation}", resource="*", kind=RefusalKind.ACCESS
            )
        answer: Answer = copy.deepcopy(getattr(self, f"_{service}_{xform_name(operation)}")(parameters))
        return answer

    def items(self, service: str, operation: str, member: str, **parameters: Any) -> list[Any]:
        return list(self.call(service, operation, **parameters)[member])

    def _sts_get_caller_identity(self, _: Answer) -> Answer:
        headers = {"date": format_datetime(self.date, usegmt=True)}
        return {"Account": self.account, "Arn": f"arn:aws:sts::{self.account}:assumed-role/operator/me",
                "ResponseMetadata": {"HTTPHeaders": headers}}  # fmt: skip

    def _cloudformation_describe_stacks(self, _: Answer) -> Answer:
        return {"Stacks": [self.stack]}

    def _dynamodb_describe_table(self, _: Answer) -> Answer:
        return {"Table": self.table}

    def _dynamodb_describe_continuous_backups(self, _: Answer) -> Answer:
        recovery = {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": self.recovery}}
        return {"ContinuousBackupsDescription": recovery}

    def _lambda_get_function_configuration(self, request: Answer) -> Answer:
        return _find(self.functions, request["FunctionName"].removeprefix(f"{self._prefix}-rollback-"))

    def _lambda_get_policy(self, request: Answer) -> Answer:
        policy = self.policies[request["FunctionName"].removeprefix(f"{self._prefix}-rollback-")]
        if policy is None:
            raise _gone("policy of a function")
        return {"Policy": json.dumps(policy)}

    def _stepfunctions_describe_state_machine(self, request: Answer) -> Answer:
        return _find(
            self.machines, request["stateMachineArn"].removeprefix(arn("states", f"stateMachine:{self._prefix}-"))
        )

    def _iam_simulate_principal_policy(self, request: Answer) -> Answer:
        role = request["PolicySourceArn"].rsplit("/", 1)[-1]
        results = []
        for action in request["ActionNames"]:
            is_denied = bool({(role, action), (role, action, request["ResourceArns"][0])} & self.denied)
            decision = "implicitDeny" if is_denied else "allowed"
            results.append(
                {"EvalActionName": action, "EvalResourceName": request["ResourceArns"][0], "EvalDecision": decision}
            )
        return {"EvaluationResults": results}

    def _events_list_rules(self, request: Answer) -> Answer:
        rules = [rule for rule in self.rules.values() if rule["Name"].startswith(request["NamePrefix"])]
        return {"Rules": [{key: value for key, value in rule.items() if key != "targets"} for rule in rules]}

    def _events_list_targets_by_rule(self, request: Answer) -> Answer:
        return {"Targets": next(rule["targets"] for rule in self.rules.values() if rule["Name"] == request["Rule"])}

    def _events_put_events(self, request: Answer) -> Answer:
        self.events += request["Entries"]
        for entry in request["Entries"]:
            self.on_event(entry)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": f"event-{len(self.events)}"}]}

    def _sqs_get_queue_url(self, request: Answer) -> Answer:
        name = request["QueueName"].removeprefix(f"{self._prefix}-rollback-")
        if name not in self.queues:
            raise _gone(request["QueueName"])
        return {"QueueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{request['QueueName']}"}

    def _sqs_get_queue_attributes(self, request: Answer) -> Answer:
        name = request["QueueUrl"].rsplit("/", 1)[-1].removeprefix(f"{self._prefix}-rollback-")
        known = {
            "ApproximateNumberOfMessages": str(self.queues[name]),
            "ApproximateNumberOfMessagesNotVisible": "0",
            "Policy": json.dumps(self.queue_policy),
        }
        return {"Attributes": {attribute: known[attribute] for attribute in request["AttributeNames"]}}

    def _sns_list_subscriptions_by_topic(self, request: Answer) -> Answer:
        name = request["TopicArn"].rsplit(":", 1)[-1].removeprefix(f"{self._prefix}-")
        return {"Subscriptions": _find(self.subscriptions, name)}

    def _cloudwatch_describe_alarms(self, request: Answer) -> Answer:
        composites = [
            {"AlarmName": name, **alarm} for name, alarm in self.composites.items() if name in request["AlarmNames"]
        ]
        metrics = [alarm for name, alarm in self.metric_alarms.items() if name in request["AlarmNames"]]
        is_composite = request["AlarmTypes"] == ["CompositeAlarm"]
        return {"CompositeAlarms": composites if is_composite else [], "MetricAlarms": [] if is_composite else metrics}

    def _elbv2_describe_target_groups(self, request: Answer) -> Answer:
        balancer = arn("elasticloadbalancing", f"loadbalancer/{self.balancer}")
        return {
            "TargetGroups": [
                {"TargetGroupArn": one, "LoadBalancerArns": [balancer]} for one in request["TargetGroupArns"]
            ]
        }

    def _ecr_get_lifecycle_policy(self, _: Answer) -> Answer:
        if self.lifecycle is None:
            raise _gone("lifecycle policy")
        return {"lifecyclePolicyText": json.dumps(self.lifecycle)}

    def _ecr_describe_images(self, _: Answer) -> Answer:
        return {"imageDetails": self.images}

    def _efs_describe_file_systems(self, request: Answer) -> Answer:
        if request["FileSystemId"] not in self.file_systems:
            raise _gone(request["FileSystemId"])
        return {"FileSystems": [{"LifeCycleState": self.file_systems[request["FileSystemId"]]}]}


_KINDS = ("degraded", "outage")


def _gone(name: str) -> CallRefused:
    return CallRefused(f"there is no {name}", kind=RefusalKind.NOT_FOUND)


def _find(known: dict[str, T], name: str) -> T:
    if name not in known:
        raise _gone(name)
    return known[name]
