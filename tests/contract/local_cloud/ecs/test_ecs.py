"""The ECS simulation: one test for each behaviour that the rollback relies on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from contract.local_cloud.workload import CRASHING, UNHEALTHY, Workload, eventually

from local_cloud.elb.load import LoadGenerator
from local_cloud.events import rules as events
from local_cloud.listing import list_all

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


@pytest.fixture
def web(cloud: Any) -> Iterator[Workload]:
    """A service behind a load balancer, deleted afterwards."""
    workload = Workload(cloud)
    yield workload
    if list_all(workload.ecs, "list_services", "serviceArns", cluster=workload.name):
        workload.delete()


@pytest.fixture
def worker(cloud: Any) -> Iterator[Workload]:
    """A service without a load balancer, deleted afterwards."""
    workload = Workload(cloud, balanced=False)
    yield workload
    if list_all(workload.ecs, "list_services", "serviceArns", cluster=workload.name):
        workload.delete()


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any], list[str]]]:
    """Return the events that ECS emitted: detail type, detail, resources."""
    recorded: list[tuple[str, dict[str, Any], list[str]]] = []

    def record(account: str, region: str, source: str, kind: str, detail: dict[str, Any], resources: list[str]) -> None:
        if source == "aws.ecs":
            recorded.append((kind, detail, list(resources)))

    monkeypatch.setattr(events, "emit", record)
    return recorded


def test_a_service_reaches_its_desired_count_with_healthy_targets(web: Workload) -> None:
    web.start_and_wait(web.release("v1"), desired=2)
    described = web.describe()
    assert (described["runningCount"], described["pendingCount"]) == (2, 0)
    assert web.target_states() == ["healthy", "healthy"]
    assert "reached a steady state" in " ".join(event["message"] for event in described["events"])


def test_a_service_without_a_load_balancer_completes(worker: Workload) -> None:
    worker.start_and_wait(worker.release("v1"), desired=1)
    assert [task["lastStatus"] for task in worker.tasks()] == ["RUNNING"]


def test_describe_services_returns_every_property_of_a_service(web: Workload) -> None:
    definition = web.release("v1")
    configuration = {"maximumPercent": 150, "minimumHealthyPercent": 50, **BREAKER}
    web.create(definition, desired=1, deploymentConfiguration=configuration, healthCheckGracePeriodSeconds=7)
    described = web.describe()
    assert described["deploymentConfiguration"].items() >= configuration.items()
    assert described["healthCheckGracePeriodSeconds"] == 7
    assert described["launchType"] == "FARGATE"
    assert described["loadBalancers"][0]["targetGroupArn"] == web.target_group
    assert described["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == web.subnets


def test_a_capacity_provider_strategy_replaces_the_launch_type(worker: Workload) -> None:
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]
    service = worker.ecs.create_service(
        cluster=worker.name, serviceName=worker.name, taskDefinition=worker.release("v1"), desiredCount=0,
        capacityProviderStrategy=strategy,
        networkConfiguration={"awsvpcConfiguration": {"subnets": worker.subnets, "securityGroups": [worker.group]}},
    )["service"]  # fmt: skip
    assert service["capacityProviderStrategy"] == strategy
    assert "launchType" not in service


def test_a_rolling_deployment_keeps_the_minimum_healthy(web: Workload) -> None:
    web.start_and_wait(web.release("v1"), desired=2)
    second = web.release("v2")
    web.update(taskDefinition=second)
    healthy = []

    def completed() -> bool:
        healthy.append(web.target_states().count("healthy"))
        return bool(web.primary()["rolloutState"] == "COMPLETED")

    eventually(completed)
    assert min(healthy) >= 2
    assert web.describe()["taskDefinition"] == second
    assert {task["taskDefinitionArn"] for task in web.tasks()} == {second}


def test_the_maximum_percent_limits_the_running_tasks(worker: Workload) -> None:
    tight = {"maximumPercent": 100, "minimumHealthyPercent": 50}
    worker.start_and_wait(worker.release("v1"), desired=2, deploymentConfiguration=tight)
    worker.update(taskDefinition=worker.release("v2"))
    live = []

    def completed() -> bool:
        described = worker.describe()
        live.append(described["runningCount"] + described["pendingCount"])
        return bool(described["deployments"][0]["rolloutState"] == "COMPLETED")

    eventually(completed)
    assert max(live) == 2


def test_the_circuit_breaker_returns_to_the_last_completed_revision(
    web: Workload, emitted: list[tuple[str, dict[str, Any], list[str]]]
) -> None:
    good = web.release("v1")
    web.start_and_wait(good, desired=1, deploymentConfiguration=BREAKER)
    bad = web.update(taskDefinition=web.release("v2", UNHEALTHY))
    deployment = web.wait_for_status("ROLLBACK_SUCCESSFUL")
    assert web.describe()["taskDefinition"] == good
    assert web.primary()["rolloutState"] == "COMPLETED"
    assert deployment["deploymentCircuitBreaker"] == {"status": "TRIGGERED", "failureCount": 3, "threshold": 3}
    assert deployment["rollback"]["serviceRevisionArn"] == deployment["sourceServiceRevisions"][0]["arn"]
    of_service = [(kind, detail) for kind, detail, arns in emitted if arns == [bad["serviceArn"]]]
    changes = [(d["eventName"], d["deploymentId"]) for kind, d in of_service if kind == "ECS Deployment State Change"]
    assert [name.removeprefix("SERVICE_DEPLOYMENT_") for name, _ in changes] == [
        "IN_PROGRESS", "COMPLETED", "IN_PROGRESS", "FAILED", "IN_PROGRESS", "COMPLETED",
    ]  # fmt: skip
    assert changes[3][1] == bad["deployments"][0]["id"]
    assert [d["eventName"] for kind, d in of_service if kind == "ECS Service Action"] == ["SERVICE_DEPLOYMENT_FAILED"]


def test_a_bad_deployment_without_a_circuit_breaker_stays_in_progress(worker: Workload) -> None:
    worker.start_and_wait(worker.release("v1"), desired=1)
    worker.update(taskDefinition=worker.release("v2", CRASHING))
    eventually(lambda: worker.primary()["failedTasks"] >= 4)
    assert worker.primary()["rolloutState"] == "IN_PROGRESS"
    assert worker.describe()["runningCount"] >= 1


def test_a_circuit_breaker_without_rollback_leaves_the_failed_deployment(worker: Workload) -> None:
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
    worker.start_and_wait(worker.release("v1"), desired=1, deploymentConfiguration=breaker)
    bad = worker.release("v2", CRASHING)
    worker.update(taskDefinition=bad)
    assert worker.wait_for("FAILED")["taskDefinition"] == bad
    assert worker.service_deployments()[0]["status"] == "STOPPED"
    assert [d["taskDefinition"] for d in worker.describe()["deployments"] if d["runningCount"]] != [bad]


def test_stopping_a_service_deployment_rolls_it_back_onto_the_tasks_that_still_run(web: Workload) -> None:
    good = web.release("v1")
    web.start_and_wait(good, desired=2)
    original_arns = {task["taskArn"] for task in web.tasks()}
    web.update(taskDefinition=web.release("v2", UNHEALTHY))
    arn = web.service_deployments(status=["IN_PROGRESS"])[0]["serviceDeploymentArn"]
    web.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    deployment = web.wait_for_status("ROLLBACK_SUCCESSFUL")  # the old tasks still run, so this may take one tick
    assert deployment["serviceDeploymentArn"] == arn
    assert deployment["rollback"]["serviceRevisionArn"] == deployment["sourceServiceRevisions"][0]["arn"]
    assert {task["taskArn"] for task in web.tasks()} == original_arns
    assert web.describe()["taskDefinition"] == good


def test_a_finished_service_deployment_cannot_be_stopped(worker: Workload) -> None:
    worker.start_and_wait(worker.release("v1"), desired=1)
    arn = worker.service_deployments()[0]["serviceDeploymentArn"]
    with pytest.raises(ClientError) as error:
        worker.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    assert error.value.response["Error"]["Code"] == "ConflictException"


def test_an_unknown_service_deployment_cannot_be_stopped(worker: Workload) -> None:
    worker.create(worker.release("v1"), desired=0)
    arn = worker.service_deployments()[0]["serviceDeploymentArn"][:-4] + "none"
    with pytest.raises(ClientError) as error:
        worker.ecs.stop_service_deployment(serviceDeploymentArn=arn)
    assert error.value.response["Error"]["Code"] == "ServiceDeploymentNotFoundException"


def test_a_newer_deployment_supersedes_the_one_in_progress(worker: Workload) -> None:
    worker.start_and_wait(worker.release("v1"), desired=1)
    worker.update(taskDefinition=worker.release("v2", CRASHING))
    third = worker.release("v3")
    worker.update(taskDefinition=third)
    worker.wait_for("COMPLETED", third)
    assert [d["status"] for d in worker.service_deployments()] == ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]


def test_scaling_or_a_new_deployment_configuration_starts_no_deployment(worker: Workload) -> None:
    worker.start_and_wait(worker.release("v1"), desired=1)
    worker.update(desiredCount=3)
    worker.update(deploymentConfiguration={"minimumHealthyPercent": 0})
    eventually(lambda: worker.describe()["runningCount"] == 3)
    assert len(worker.service_deployments()) == 1
    configuration = worker.describe()["deploymentConfiguration"]
    assert (configuration["minimumHealthyPercent"], configuration["maximumPercent"]) == (0, 200)
    worker.update(desiredCount=1)
    eventually(lambda: worker.describe()["runningCount"] == 1)


def test_an_update_without_a_desired_count_keeps_the_current_one(worker: Workload) -> None:
    worker.start_and_wait(worker.release("v1"), desired=1)
    worker.update(desiredCount=2)
    assert worker.update(taskDefinition=worker.release("v2"))["desiredCount"] == 2


def test_a_forced_deployment_replaces_the_tasks_of_the_same_definition(worker: Workload) -> None:
    first = worker.release("v1")
    worker.start_and_wait(first, desired=1)
    original_arns = {task["taskArn"] for task in worker.tasks()}
    assert worker.update(taskDefinition=first)["deployments"][0]["rolloutState"] == "COMPLETED"
    worker.update(forceNewDeployment=True)
    worker.wait_for_status("SUCCESSFUL")
    assert len(worker.service_deployments()) == 2
    assert original_arns.isdisjoint(task["taskArn"] for task in worker.tasks())


@pytest.mark.parametrize("operation", ["create", "update"])
def test_an_inactive_task_definition_is_refused(worker: Workload, operation: str) -> None:
    first, second = worker.release("v1"), worker.release("v2")
    if operation == "update":
        worker.create(second, desired=0)
    worker.ecs.deregister_task_definition(taskDefinition=first)
    with pytest.raises(ClientError, match="TaskDefinition is inactive") as error:
        worker.create(first) if operation == "create" else worker.update(taskDefinition=first)
    assert error.value.response["Error"]["Code"] == "ClientException"
    described = worker.ecs.describe_task_definition(taskDefinition=first)["taskDefinition"]
    assert described["status"] == "INACTIVE"
    assert described["deregisteredAt"] >= described["registeredAt"]


def test_a_family_alone_means_its_latest_active_revision(worker: Workload) -> None:
    first, second = worker.release("v1"), worker.release("v2")
    worker.ecs.deregister_task_definition(taskDefinition=second)
    described = worker.ecs.describe_task_definition(taskDefinition=worker.name)["taskDefinition"]
    assert described["taskDefinitionArn"] == first


def test_the_image_digest_is_pinned_when_the_deployment_starts(worker: Workload) -> None:
    digest = worker.push("v1")
    definition = worker.register("v1")
    worker.start_and_wait(definition, desired=1)
    moved = worker.push("v1", CRASHING)
    worker.update(desiredCount=2)
    eventually(lambda: worker.describe()["runningCount"] == 2)
    assert {task["containers"][0]["imageDigest"] for task in worker.tasks()} == {digest} != {moved}
    revision = worker.service_deployments()[0]["targetServiceRevisionArn"]
    described = worker.ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"][0]
    assert described["taskDefinition"] == definition
    image = f"{worker.repository}:v1"
    assert described["containerImages"] == [{"containerName": "app", "image": image, "imageDigest": digest}]


def test_a_task_whose_image_is_missing_cannot_start(worker: Workload) -> None:
    worker.create(worker.register("never-pushed"), desired=1)
    stopped = eventually(lambda: worker.tasks("STOPPED"))[0]
    assert stopped["stopCode"] == "TaskFailedToStart"
    assert stopped["stoppedReason"].startswith("CannotPullContainerError")


def test_a_stopped_task_is_replaced(worker: Workload) -> None:
    worker.start_and_wait(worker.release("v1"), desired=1)
    (original_task,) = worker.tasks()
    worker.ecs.stop_task(cluster=worker.name, task=original_task["taskArn"], reason="test")
    after = eventually(lambda: [task for task in worker.tasks() if task["taskArn"] != original_task["taskArn"]])
    assert after[0]["startedBy"] == worker.primary()["id"]


def test_the_log_group_of_a_task_receives_the_errors_of_its_application(cloud: Any, web: Workload) -> None:
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName=web.name)
    options = {"awslogs-group": web.name, "awslogs-region": cloud.region, "awslogs-stream-prefix": "web"}
    settings = {"logConfiguration": {"logDriver": "awslogs", "options": options}}
    web.start_and_wait(web.release("v1", {"kind": "errors", "rate": 1.0}, **settings), desired=1)
    with LoadGenerator(web.url, 50):
        lines = eventually(lambda: list_all(logs, "filter_log_events", "events", logGroupName=web.name))
    assert re.match(r"ERROR GET /api/status answered 500 version=v1", lines[0]["message"])
    assert lines[0]["logStreamName"].startswith("web/app/")


def test_an_alarm_that_fires_during_a_deployment_rolls_it_back(
    cloud: Any, worker: Workload, emitted: list[tuple[str, dict[str, Any], list[str]]]
) -> None:
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=worker.name, Namespace="none", MetricName="none", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanThreshold", Statistic="Sum", TreatMissingData="ignore",
    )  # fmt: skip
    alarms = {"alarms": {"alarmNames": [worker.name], "enable": True, "rollback": True}}
    good = worker.release("v1")
    worker.start_and_wait(good, desired=1, deploymentConfiguration=alarms)
    worker.update(taskDefinition=worker.release("v2", CRASHING))
    cloudwatch.set_alarm_state(AlarmName=worker.name, StateValue="ALARM", StateReason="test")
    assert worker.wait_for_status("ROLLBACK_SUCCESSFUL")["statusReason"].startswith("Deployment alarm")
    failures = [(kind, detail) for kind, detail, _ in emitted if detail.get("eventName") == "SERVICE_DEPLOYMENT_FAILED"]
    assert [kind for kind, _ in failures] == ["ECS Service Action"]  # the circuit breaker is off
    assert "deploymentId" not in failures[0][1]
    worker.update(taskDefinition=worker.release("v3"))
    worker.wait_for_status("SUCCESSFUL")  # ECS ignores an alarm that was in ALARM before the deployment


def test_a_service_at_zero_stops_its_tasks_once_they_have_drained(web: Workload) -> None:
    web.start_and_wait(web.release("v1"), desired=2)
    web.drain_for(3000)  # a busy machine would miss a state that passes
    web.update(desiredCount=0)
    draining = eventually(lambda: web.tasks("STOPPED") if not web.tasks("RUNNING") else None)
    assert {task["desiredStatus"] for task in draining} == {"STOPPED"}
    assert {task["lastStatus"] for task in draining} == {"DEACTIVATING"}  # draining tasks still run, and still write
    assert web.describe()["runningCount"] == 0
    web.drain_for(0)
    stopped = eventually(lambda: [task for task in web.tasks("STOPPED") if task["lastStatus"] == "STOPPED"])
    eventually(lambda: {task["lastStatus"] for task in web.tasks("STOPPED")} == {"STOPPED"})
    assert all(task["stoppedReason"] and task["stoppedAt"] for task in stopped)


def test_a_service_at_zero_starts_again_with_the_requested_definition(worker: Workload) -> None:
    worker.start_and_wait(worker.release("v1"), desired=1)
    worker.update(desiredCount=0)
    eventually(lambda: not worker.tasks())
    second = worker.release("v2")
    worker.update(taskDefinition=second, desiredCount=2)
    worker.wait_for("COMPLETED", second)
    assert {task["taskDefinitionArn"] for task in worker.tasks()} == {second}
    assert worker.describe()["runningCount"] == 2


def test_describe_clusters_shows_settings_only_if_include_lists_them(cloud: Any) -> None:
    ecs = cloud.client("ecs")
    insights = [{"name": "containerInsights", "value": "enhanced"}]
    ecs.create_cluster(clusterName="insightful", settings=insights)
    cluster = ecs.describe_clusters(clusters=["insightful"], include=["SETTINGS"])["clusters"][0]
    assert cluster["settings"] == insights
    assert "settings" not in ecs.describe_clusters(clusters=["insightful"])["clusters"][0]


def test_a_decaying_release_completes_and_loses_every_healthy_target_later(web: Workload) -> None:
    web.start_and_wait(web.release("v1", {"kind": "decays", "after_seconds": 200}), desired=2)
    first = {task["taskArn"] for task in web.tasks()}
    assert web.target_states() == ["healthy", "healthy"]
    eventually(
        lambda: first.isdisjoint(task["taskArn"] for task in web.tasks())
    )  # ECS replaces them, and the new ones fail too
    assert eventually(lambda: "healthy" not in (states := web.target_states()) and states)
    assert web.primary()["rolloutState"] == "COMPLETED"


def test_a_lock_left_by_a_release_fails_the_next_release_until_no_task_runs(web: Workload) -> None:
    web.start_and_wait(
        web.release("v1", {"kind": "locks", "after_seconds": 300}), desired=2
    )  # the lock comes after the deployment has completed
    assert eventually(lambda: "healthy" not in (states := web.target_states()) and states)
    web.update(taskDefinition=(second := web.release("v2")))
    eventually(lambda: [task for task in web.tasks() if task["taskDefinitionArn"] == second and task.get("startedAt")])
    assert "healthy" not in web.target_states()
    web.update(desiredCount=0)
    eventually(lambda: web.target_states() == [] and web.describe()["runningCount"] == 0)
    web.update(desiredCount=2)
    assert eventually(lambda: web.target_states() == ["healthy", "healthy"])


def test_deleting_a_service_drains_its_targets(web: Workload) -> None:
    web.start_and_wait(web.release("v1"), desired=1)
    web.drain_for(3000)
    web.delete()
    assert web.target_states() == ["draining"]
    web.drain_for(0)
    eventually(lambda: web.target_states() == [])
    assert web.describe()["status"] == "INACTIVE"
