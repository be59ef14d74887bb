"""Faults that a test plants into the deployed environment. Each is taken back when its context ends."""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from e2e.live import DeployedEnvironment, wait_for

from rollback.domain.operator import Pause
from rollback.names import leaf_alarm

Plant = Callable[[DeployedEnvironment], AbstractContextManager[None]]
_ALARM_MEMBERS = (
    "AlarmName", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions",
    "MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "EvaluationPeriods",
    "DatapointsToAlarm", "Threshold", "ComparisonOperator", "TreatMissingData", "Metrics",
)  # fmt: skip


def without_action(function: str, action: str) -> Plant:
    """Take an action out of the policy of a function's role."""

    @contextmanager
    def plant(live: DeployedEnvironment) -> Iterator[None]:
        name = f"{live.deployed.settings.prefix}-rollback-{function}"
        role = live.client("lambda").get_function_configuration(FunctionName=name)["Role"].rsplit("/", 1)[-1]
        with _changed_policy(live, role, lambda statement: _drop(statement, action)):
            yield

    return plant


@contextmanager
def state_machine_without_a_function(live: DeployedEnvironment) -> Iterator[None]:
    """Take the permission to invoke functions from the state machine's role."""
    machine = live.client("stepfunctions").describe_state_machine(stateMachineArn=live.deployed.workflow_arn)
    role = machine["roleArn"].rsplit("/", 1)[-1]
    with _changed_policy(live, role, lambda statement: _drop(statement, "lambda:InvokeFunction")):
        yield


@contextmanager
def _changed_policy(
    live: DeployedEnvironment, role: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> Iterator[None]:
    iam = live.client("iam")
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    changed = filter(None, (change(copy.deepcopy(statement)) for statement in document["Statement"]))
    lacking = {**document, "Statement": list(changed)}
    assert lacking != document
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(lacking))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


def _drop(statement: dict[str, Any], action: str) -> dict[str, Any] | None:
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    left = [one for one in actions if one != action]
    return {**statement, "Action": left} if left else None


@contextmanager
def disabled_rule(live: DeployedEnvironment) -> Iterator[None]:
    events, name = live.client("events"), f"{live.deployed.settings.prefix}-rollback-on-deployment-failed"
    events.disable_rule(Name=name)
    try:
        yield
    finally:
        events.enable_rule(Name=name)


@contextmanager
def rule_without_targets(live: DeployedEnvironment) -> Iterator[None]:
    events, name = live.client("events"), f"{live.deployed.settings.prefix}-rollback-on-alarm"
    targets = events.list_targets_by_rule(Rule=name)["Targets"]
    events.remove_targets(Rule=name, Ids=[target["Id"] for target in targets])
    try:
        yield
    finally:
        events.put_targets(Rule=name, Targets=targets)


@contextmanager
def dead_letter(live: DeployedEnvironment) -> Iterator[None]:
    sqs = live.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{live.deployed.settings.prefix}-rollback-dead-letters")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    try:
        yield
    finally:
        sqs.purge_queue(QueueUrl=url)


@contextmanager
def deleted_alarm(live: DeployedEnvironment) -> Iterator[None]:
    cloudwatch, alarm = live.client("cloudwatch"), _alarm(live, "unhealthy-targets")
    cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"]])
    try:
        yield
    finally:
        cloudwatch.put_metric_alarm(**alarm)


@contextmanager
def alarm_on_another_target_group(live: DeployedEnvironment) -> Iterator[None]:
    cloudwatch, alarm = live.client("cloudwatch"), _alarm(live, "unhealthy-targets")
    changed = copy.deepcopy(alarm)
    for dimension in changed["Dimensions"]:
        if dimension["Name"] == "TargetGroup":
            dimension["Value"] = "targetgroup/former/0123456789abcdef"
    assert changed != alarm
    cloudwatch.put_metric_alarm(**changed)
    try:
        yield
    finally:
        cloudwatch.put_metric_alarm(**alarm)


def _alarm(live: DeployedEnvironment, kind: str) -> dict[str, Any]:
    name = leaf_alarm(live.deployed.settings.prefix, live.service.name, kind)
    (alarm,) = live.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return {member: alarm[member] for member in _ALARM_MEMBERS if alarm.get(member) not in (None, [], "")}


@contextmanager
def container_insights_off(live: DeployedEnvironment) -> Iterator[None]:
    ecs, cluster = live.client("ecs"), live.service.cluster

    def switch(value: str) -> None:
        ecs.update_cluster(cluster=cluster, settings=[{"name": "containerInsights", "value": value}])

    switch("disabled")
    try:
        yield
    finally:
        switch("enabled")


@contextmanager
def circuit_breaker_off(live: DeployedEnvironment) -> Iterator[None]:
    before = live.describe_service()["deploymentConfiguration"]["deploymentCircuitBreaker"]

    def switch(breaker: dict[str, bool]) -> None:
        live.client("ecs").update_service(
            cluster=live.service.cluster,
            service=live.service.ecs_service,
            deploymentConfiguration={"deploymentCircuitBreaker": breaker},
        )

    switch({"enable": False, "rollback": False})
    try:
        yield
    finally:
        switch(before)


@contextmanager
def lifecycle_policy_that_expires_targets(live: DeployedEnvironment) -> Iterator[None]:
    ecr, repository = live.client("ecr"), _repository(live)
    policy = ecr.get_lifecycle_policy(repositoryName=repository)["lifecyclePolicyText"]
    selection = {"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1}
    rule = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=json.dumps({"rules": [rule]}))
    try:
        yield
    finally:
        ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=policy)


@contextmanager
def deleted_image(live: DeployedEnvironment) -> Iterator[None]:
    ecr, repository = live.client("ecr"), _repository(live)
    digest = _target_image(live).rpartition("@")[2]
    by_digest: dict[str, Any] = {"repositoryName": repository, "imageIds": [{"imageDigest": digest}]}
    manifest = ecr.batch_get_image(**by_digest)["images"][0]["imageManifest"]
    tags = ecr.describe_images(**by_digest)["imageDetails"][0]["imageTags"]
    ecr.batch_delete_image(**by_digest)
    try:
        yield
    finally:
        for tag in tags:
            ecr.put_image(repositoryName=repository, imageManifest=manifest, imageTag=tag)


def _target_image(live: DeployedEnvironment) -> str:
    (promoted,) = live.promoted()
    return promoted.images[live.service.container]


def _repository(live: DeployedEnvironment) -> str:
    return _target_image(live).partition("/")[2].partition("@")[0]


@contextmanager
def secret_being_deleted(live: DeployedEnvironment) -> Iterator[None]:
    database = live.deployed.settings.database
    assert database is not None
    secrets, arn = live.client("secretsmanager"), database.connection_secret_arn
    secrets.delete_secret(SecretId=arn, RecoveryWindowInDays=7)
    try:
        yield
    finally:
        secrets.restore_secret(SecretId=arn)


@contextmanager
def revoked_neon_key(live: DeployedEnvironment) -> Iterator[None]:
    database = live.deployed.settings.database
    assert database is not None
    secrets, arn = live.client("secretsmanager"), database.api_key_secret_arn
    key = secrets.get_secret_value(SecretId=arn)["SecretString"]
    secrets.put_secret_value(SecretId=arn, SecretString="revoked")
    try:
        yield
    finally:
        secrets.put_secret_value(SecretId=arn, SecretString=key)


@contextmanager
def unprotected_branch(live: DeployedEnvironment) -> Iterator[None]:
    database = live.deployed.settings.database
    assert database is not None
    assert database.branch_id is not None
    branch_id, neon = database.branch_id, live.ports.neon

    def protect(value: bool) -> None:
        neon.update_branch(branch_id, protected=value)
        wait_for(lambda: (branch := neon.branch(branch_id)) is not None and branch.protected is value)

    protect(False)
    try:
        yield
    finally:
        protect(True)


@contextmanager
def paused_rollbacks(live: DeployedEnvironment) -> Iterator[None]:
    ledger, service = live.ports.ledger, live.service.name
    ledger.put_pause(Pause(service=service, since=live.ports.clock.now(), by="a test", reason="a test"))
    try:
        yield
    finally:
        ledger.end_pause(service)
