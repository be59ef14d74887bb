"""ECS of the embedded cloud tells of each task's changes, and a rule, a log group and a filter count failed tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from contract.local_cloud.workload import CRASHING, Workload, eventually

from local_cloud.events import rules as events
from local_cloud.listing import list_all

Emitted = list[dict[str, Any]]


@pytest.fixture
def worker(cloud: Any) -> Iterator[Workload]:
    """A service without a load balancer, deleted afterwards."""
    workload = Workload(cloud, balanced=False)
    yield workload
    if list_all(workload.ecs, "list_services", "serviceArns", cluster=workload.name):
        workload.delete()


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> Emitted:
    """Return the details of the task state changes that ECS emitted."""
    recorded: Emitted = []
    emit = events.emit

    def record(account: str, region: str, source: str, kind: str, detail: dict[str, Any], resources: list[str]) -> str:
        if kind == "ECS Task State Change":
            recorded.append(detail)
            assert resources == [detail["taskArn"]]
        return emit(account, region, source, kind, detail, resources)

    monkeypatch.setattr(events, "emit", record)
    return recorded


def of_service(changes: Emitted, workload: Workload) -> Emitted:
    return [detail for detail in changes if detail["group"] == f"service:{workload.name}"]


def test_a_task_tells_of_each_status_on_its_way_to_running(worker: Workload, changes: Emitted) -> None:
    worker.start_and_wait(worker.release("v1"), desired=1)
    mine = of_service(changes, worker)
    assert [detail["lastStatus"] for detail in mine] == ["PENDING", "RUNNING"]
    assert "stopCode" not in mine[-1]
    assert datetime.fromisoformat(mine[-1]["startedAt"].replace("Z", "+00:00")).tzinfo is not None


def test_a_container_that_ends_by_itself_has_its_exit_code_in_the_event(worker: Workload, changes: Emitted) -> None:
    worker.create(worker.release("v1", CRASHING), desired=1)
    stopped = eventually(lambda: [d for d in of_service(changes, worker) if d["lastStatus"] == "STOPPED"])[0]
    assert stopped["stopCode"] == "EssentialContainerExited"
    assert stopped["stoppedReason"] == "Essential container in task exited"
    assert [container["exitCode"] for container in stopped["containers"]] == [1]
    assert stopped["stoppedAt"] >= stopped["createdAt"]
    assert stopped["clusterArn"].endswith(f":cluster/{worker.name}")


def test_a_task_that_the_scheduler_stops_has_not_failed(worker: Workload, changes: Emitted) -> None:
    worker.start_and_wait(worker.release("v1"), desired=1)
    worker.update(desiredCount=0)
    stopped = eventually(lambda: [d for d in of_service(changes, worker) if d["lastStatus"] == "STOPPED"])[0]
    assert stopped["stopCode"] == "ServiceSchedulerInitiated"


def test_a_rule_a_log_group_and_a_filter_count_the_failed_tasks_of_one_service(worker: Workload, cloud: Any) -> None:
    name, logs, rules = worker.name, cloud.client("logs"), cloud.client("events")
    group = f"/aws/events/{name}"
    logs.create_log_group(logGroupName=group)
    arn = f"arn:aws:logs:{cloud.region}:{cloud.account}:log-group:{group}"
    logs.put_resource_policy(policyName=name, policyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Resource": f"{arn}:*",
         "Action": ["logs:CreateLogStream", "logs:PutLogEvents"]},
    ]}))  # fmt: skip
    logs.put_metric_filter(
        logGroupName=group, filterName=name, filterPattern=f'{{ ($.detail.group = "service:{name}") }}',
        metricTransformations=[{"metricName": "TaskExits", "metricNamespace": name, "metricValue": "1"}],
    )  # fmt: skip
    failed = {"name": ["app"], "exitCode": [{"anything-but": [0]}]}
    detail = {
        "lastStatus": ["STOPPED"], "group": [f"service:{name}"],
        "$or": [{"stopCode": ["TaskFailedToStart"]}, {"stopCode": ["EssentialContainerExited"], "containers": failed}],
    }  # fmt: skip
    pattern = {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"], "detail": detail}
    rules.put_rule(Name=name, EventPattern=json.dumps(pattern))
    rules.put_targets(Rule=name, Targets=[{"Id": "log", "Arn": arn}])
    worker.create(worker.release("v1", CRASHING), desired=1)

    def counted() -> list[dict[str, Any]]:
        return [
            json.loads(event["message"]) for event in list_all(logs, "filter_log_events", "events", logGroupName=group)
        ]

    eventually(lambda: len(counted()) >= 2)
    assert {event["detail"]["stopCode"] for event in counted()} == {"EssentialContainerExited"}
    metrics = list_all(cloud.client("cloudwatch"), "list_metrics", "Metrics", Namespace=name)
    assert {metric["MetricName"] for metric in metrics} == {"TaskExits"}
    rules.remove_targets(Rule=name, Ids=["log"])
    rules.delete_rule(Name=name)
