"""Sample events of AWS's guides with our names, and the rules that must match each.

Sources: Amazon ECS Developer Guide ("service deployment state change events", "service action events"), CloudWatch
User Guide ("Alarm events and EventBridge"), Step Functions Developer Guide ("Automating event delivery").
"""

from dataclasses import dataclass
from typing import Any

from referee.emulator import ACCOUNT, REGION
from referee.live import CLUSTER, ECS_SERVICE, PREFIX, SERVICE

from rollback.names import event_source

Event = dict[str, Any]

SERVICE_ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/{CLUSTER}/{ECS_SERVICE}"
_ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:"
_MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{PREFIX}-"
IN_PROGRESS = f"{PREFIX}-rollback-on-deployment-in-progress"
COMPLETED = f"{PREFIX}-rollback-on-deployment-completed"
FAILED = f"{PREFIX}-rollback-on-deployment-failed"
ALARM = f"{PREFIX}-rollback-on-alarm"
BROKEN = f"{PREFIX}-rollback-on-broken-execution"
OWN = f"{PREFIX}-rollback-on-own-event"
TEST = f"{PREFIX}-rollback-on-test-event"
APPLICATION = PREFIX.removesuffix("-production")


@dataclass(frozen=True)
class Sample:
    """Event, and the names of the rules that must match it."""

    event: Event
    rules: tuple[str, ...] = ()


def _event(source: str, kind: str, resource: str, detail: Event, **more: Any) -> Event:
    return {
        "version": "0",
        "id": "ddca6449-b258-46c0-8653-e0e3a6EXAMPLE",
        "detail-type": kind,
        "source": source,
        "account": ACCOUNT,
        "time": "2020-05-23T12:31:14Z",
        "region": REGION,
        "resources": [resource],
        "detail": detail,
        **more,
    }


def _deployment(name: str, reason: str, service: str = SERVICE_ARN, kind: str = "INFO") -> Event:
    detail = {
        "eventType": kind,
        "eventName": name,
        "deploymentId": "ecs-svc/123",
        "updatedAt": "2020-05-23T11:11:11Z",
        "reason": reason,
    }
    return _event("aws.ecs", "ECS Deployment State Change", service, detail)


def _action(name: str, kind: str, **more: Any) -> Event:
    cluster = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{CLUSTER}"
    detail = {"eventType": kind, "eventName": name, "clusterArn": cluster, "createdAt": "2019-11-19T19:27:22.695Z"}
    return _event("aws.ecs", "ECS Service Action", SERVICE_ARN, detail | more)


def _alarm(name: str, value: str, previous: str = "OK", **more: Any) -> Event:
    rule = {"alarmRule": 'ALARM("a") OR ALARM("b")', "description": "d", "actionsSuppressor": "c"}
    state = {"reason": "r", "reasonData": "{}", "timestamp": "2019-10-02T17:04:40.989+0000"}
    detail = {
        "alarmName": name,
        "configuration": rule,
        "previousState": {**state, "value": previous},
        "state": {**state, "value": value},
        **more,
    }
    return _event("aws.cloudwatch", "CloudWatch Alarm State Change", f"{_ALARM}{name}", detail)


def _execution(status: str, machine: str = "rollback") -> Event:
    arn = f"{_MACHINE}{machine}"
    execution = f"{arn.replace(':stateMachine:', ':execution:')}:name"
    detail = {
        "executionArn": execution,
        "stateMachineArn": arn,
        "name": "name",
        "status": status,
        "startDate": 1551225146847,
        "stopDate": 1551225151881,
        "input": "{}",
        "inputDetails": {"included": True},
        "output": None,
        "outputDetails": None,
        "error": None,
        "cause": None,
    }
    return _event("aws.states", "Step Functions Execution Status Change", execution, detail)


def _own(kind: str, environment: str = "production", application: str = APPLICATION) -> Event:
    detail = {"schema_version": 1, "environment": environment, "rollback_id": f"{SERVICE}-1", "phase": "concluded"}
    return _event(event_source(application), kind, SERVICE_ARN, detail)


_DEGRADED, _OUTAGE = f"{PREFIX}-{SERVICE}-degraded", f"{PREFIX}-{SERVICE}-outage"
_FAILED = ("SERVICE_DEPLOYMENT_FAILED", "ECS deployment circuit breaker: task failed to start.")
_OTHER_CLUSTER = SERVICE_ARN.replace(f"/{CLUSTER}/", "/another-cluster/")
SAMPLES = {
    "a deployment begins": Sample(
        _deployment("SERVICE_DEPLOYMENT_IN_PROGRESS", "ECS deployment ecs-svc/123 in progress."), (IN_PROGRESS,)
    ),
    "ECS goes back by itself": Sample(
        _deployment(
            "SERVICE_DEPLOYMENT_IN_PROGRESS",
            "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/123.",
        ),
        (IN_PROGRESS,),
    ),
    "a deployment completes": Sample(
        _deployment("SERVICE_DEPLOYMENT_COMPLETED", "ECS deployment ecs-svc/123 completed."), (COMPLETED,)
    ),
    "a deployment fails": Sample(_deployment(*_FAILED, kind="ERROR"), (FAILED,)),
    "a deployment of another service fails": Sample(_deployment(*_FAILED, f"{SERVICE_ARN}-2", "ERROR")),
    "a deployment of the same service of another cluster fails": Sample(_deployment(*_FAILED, _OTHER_CLUSTER, "ERROR")),
    "a deployment of the same service of another account fails": Sample(
        _deployment(*_FAILED, SERVICE_ARN.replace(ACCOUNT, "210987654321"), "ERROR")
    ),
    "a deployment fails, by an ARN without the cluster": Sample(
        _deployment(*_FAILED, SERVICE_ARN.replace(f"{CLUSTER}/", ""), "ERROR")
    ),
    "a service is steady": Sample(_action("SERVICE_STEADY_STATE", "INFO")),
    "a service's tasks don't start": Sample(_action("SERVICE_TASK_START_IMPAIRED", "WARN")),
    "a service's tasks find no place": Sample(
        _action("SERVICE_TASK_PLACEMENT_FAILURE", "ERROR", reason="RESOURCE:FARGATE")
    ),
    "the degraded composite turns to ALARM": Sample(_alarm(_DEGRADED, "ALARM"), (ALARM,)),
    "the outage composite turns to ALARM": Sample(_alarm(_OUTAGE, "ALARM"), (ALARM,)),
    "a composite turns from INSUFFICIENT_DATA to ALARM": Sample(
        _alarm(_OUTAGE, "ALARM", "INSUFFICIENT_DATA"), (ALARM,)
    ),
    "a composite with tags turns to ALARM": Sample(
        _alarm(_DEGRADED, "ALARM", alarmTags={"team": "x"}, alarmTagsStatus="OK"), (ALARM,)
    ),
    "a composite turns to OK": Sample(_alarm(_DEGRADED, "OK", "ALARM")),
    "a composite loses its data": Sample(_alarm(_DEGRADED, "INSUFFICIENT_DATA", "ALARM")),
    "a rollback concludes": Sample(_own("rollback.concluded"), (OWN,)),
    "a rollback of another environment concludes": Sample(_own("rollback.concluded", environment="staging")),
    "the doctor sends a test event": Sample(_own("rollback.test"), (TEST,)),
    "the doctor tests another environment": Sample(_own("rollback.test", environment="staging")),
    "another application's rollback concludes": Sample(_own("rollback.concluded", application="another")),
    "a leaf turns to ALARM": Sample(_alarm(f"{PREFIX}-{SERVICE}-error-rate", "ALARM")),
    "another service's composite turns to ALARM": Sample(_alarm(f"{PREFIX}-another-outage", "ALARM")),
    "another environment's composite turns to ALARM": Sample(_alarm(_OUTAGE.replace("production", "staging"), "ALARM")),
    "a rollback's execution runs": Sample(_execution("RUNNING")),
    "a rollback's execution succeeds": Sample(_execution("SUCCEEDED")),
    "a rollback's execution fails": Sample(_execution("FAILED"), (BROKEN,)),
    "a rollback's execution times out": Sample(_execution("TIMED_OUT"), (BROKEN,)),
    "a rollback's execution is stopped": Sample(_execution("ABORTED"), (BROKEN,)),
    "a rollback's execution waits for a redrive": Sample(_execution("PENDING_REDRIVE")),
    "a promotion's execution fails": Sample(_execution("FAILED", "promotion")),
    "another machine's execution fails": Sample(_execution("FAILED", "rollback-2")),
}


def _task(stop_code: str, codes: dict[str, int | None], **more: Any) -> Event:
    containers = [
        {"name": name, "lastStatus": "STOPPED", **({} if code is None else {"exitCode": code})}
        for name, code in codes.items()
    ]
    detail = {
        "clusterArn": CLUSTER_ARN,
        "containers": containers,
        "desiredStatus": "STOPPED",
        "group": f"service:{ECS_SERVICE}",
        "lastStatus": "STOPPED",
        "stopCode": stop_code,
        "version": 5,
        **more,
    }
    return _event("aws.ecs", "ECS Task State Change", f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/{CLUSTER}/0f7c", detail)


CLUSTER_ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{CLUSTER}"
_EXITED = "EssentialContainerExited"
# Events about stopped tasks, and whether the rule on failed tasks of `express-api` matches them. Source: Amazon ECS
# Developer Guide, "Task state change events".
TASK_SAMPLES: dict[str, tuple[Event, bool]] = {
    "a task fails": (_task(_EXITED, {SERVICE: 1}), True),
    "a task is out of memory": (_task(_EXITED, {SERVICE: 137}), True),
    "a task can't start": (_task("TaskFailedToStart", {SERVICE: None}), True),
    "a task ends with success": (_task(_EXITED, {SERVICE: 0}), False),
    "a task ends with success, and ECS stops its sidecar": (_task(_EXITED, {"proxy": 143, SERVICE: 0}), False),
    "a task fails, and its sidecar ends with success": (_task(_EXITED, {"proxy": 0, SERVICE: 2}), True),
    "the scheduler stops a task": (_task("ServiceSchedulerInitiated", {SERVICE: 143}), False),
    "a person stops a task": (_task("UserInitiated", {SERVICE: 143}), False),
    "a Spot task is interrupted": (_task("SpotInterruption", {SERVICE: 143}), False),
    "a task runs": (_task(_EXITED, {SERVICE: 1}, lastStatus="RUNNING"), False),
    "a task of another service fails": (_task(_EXITED, {SERVICE: 1}, group=f"service:{ECS_SERVICE}-2"), False),
    "a task of another cluster fails": (_task(_EXITED, {SERVICE: 1}, clusterArn=f"{CLUSTER_ARN}-2"), False),
}
# ECS sends this event where the circuit breaker is off. A rule of its own may match it, or the rule on failed
# deployments: at most one.
SERVICE_ACTION_FAILED = _action("SERVICE_DEPLOYMENT_FAILED", "ERROR", reason="r")
