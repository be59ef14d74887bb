"""A worker's failed tasks fire the alarm that starts its rollback, from the constructs' own template."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract.local_cloud.workload import CRASHING, Workload, eventually

from local_cloud.listing import list_all

PREFIX = "shop-test"


def synthesise(cluster: str) -> str:
    """Return the template with the alarms of a worker and the log of its failed tasks."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # before jsii starts Node
    from aws_cdk import App, Stack  # noqa: PLC0415
    from aws_cdk import aws_sqs as sqs  # noqa: PLC0415

    from rollback_constructs.alarms.alarm_settings import AlarmSettings  # noqa: PLC0415
    from rollback_constructs.alarms.service_alarms import ServiceAlarms  # noqa: PLC0415
    from rollback_constructs.alarms.task_exits import TaskExits  # noqa: PLC0415
    from rollback_constructs.attachment import Attachment  # noqa: PLC0415
    from rollback_constructs.triggers import TriggerSettings  # noqa: PLC0415

    app = App(analytics_reporting=False, tree_metadata=False)
    stack = Stack(app, "Alarms")
    service = Attachment(
        name="worker",
        cluster=cluster,
        ecs_service=cluster,
        container="app",
        task_role_arns=(),
        execution_role_arns=(),
    )
    exits = TaskExits(stack, "TaskExits", prefix=PREFIX, retain=False, key=None)
    exits.log_failures([service], TriggerSettings(), sqs.Queue(stack, "DeadLetters"))
    ServiceAlarms(
        stack,
        "Service",
        prefix=PREFIX,
        environment="test",
        service=service,
        settings=AlarmSettings(max_task_exits_per_period=1),
        task_exits=exits.log_group,
    )
    resources = app.synth().get_stack_by_name("Alarms").template["Resources"]
    return json.dumps({"Resources": resources})


@pytest.fixture
def worker(cloud: Any) -> Iterator[Workload]:
    """A worker with the alarms of its rollback, deleted afterwards."""
    workload = Workload(cloud, balanced=False)
    stacks = cloud.client("cloudformation")
    stacks.create_stack(StackName=workload.name, TemplateBody=synthesise(workload.name))
    yield workload
    if list_all(workload.ecs, "list_services", "serviceArns", cluster=workload.name):
        workload.delete()
    stacks.delete_stack(StackName=workload.name)


def states_of(cloud: Any) -> dict[str, str]:
    """Return the states of the worker's alarms by their names without the worker's."""
    kinds = {"MetricAlarm": "MetricAlarms", "CompositeAlarm": "CompositeAlarms"}
    return {
        alarm["AlarmName"].removeprefix(f"{PREFIX}-worker-"): alarm["StateValue"]
        for kind, key in kinds.items()
        for alarm in list_all(
            cloud.client("cloudwatch"), "describe_alarms", key, AlarmNamePrefix=PREFIX, AlarmTypes=[kind]
        )
    }


def test_the_failed_tasks_of_a_worker_fire_its_degraded_alarm(worker: Workload, cloud: Any) -> None:
    worker.start_and_wait(worker.release("v1"), desired=1)
    eventually(lambda: states_of(cloud).get("degraded") == "OK")
    worker.update(taskDefinition=worker.release("v2", CRASHING))
    eventually(lambda: states_of(cloud)["degraded"] == "ALARM")
    seen = states_of(cloud)
    assert seen["outage"] == "OK"  # the tasks of v1 still run
    assert "error-logs" not in seen


def test_a_worker_without_any_running_task_has_an_outage_and_ends_it_at_desired_count_zero(
    worker: Workload, cloud: Any
) -> None:
    worker.create(worker.register("never-pushed"), desired=1)
    eventually(lambda: states_of(cloud).get("outage") == "ALARM")
    worker.update(desiredCount=0)
    eventually(lambda: states_of(cloud)["outage"] == "OK")
