"""Shim of the events that CloudWatch and ECS send to EventBridge, which MiniStack's don't send.

Their shapes are the samples of the services' guides, as in `sample_events.py`. A deployment has an event at its begin
and at its completion; an alarm has one at each change of its state.
"""

import datetime
import json
from typing import Any

from ministack.services import cloudwatch, ecs, eventbridge
from referee.cloud import service_revisions

Record = dict[str, Any]


def emit(source: str, kind: str, resource: str, detail: Record) -> None:
    """Send an event on the default bus, where MiniStack's rules match it and start their targets."""
    entry = {"Source": source, "DetailType": kind, "Resources": [resource], "Detail": json.dumps(detail)}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _emit_deployment(service: Record, deployment: Record, name: str, reason: str) -> None:
    detail = {
        "eventType": "INFO",
        "eventName": name,
        "deploymentId": deployment["id"],
        "updatedAt": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "reason": reason,
    }
    emit("aws.ecs", "ECS Deployment State Change", service["serviceArn"], detail)


def _emit_alarm(name: str, old: str, new: str, reason: str) -> None:
    alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
    if alarm is None:
        return
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    detail = {
        "alarmName": name,
        "configuration": {"alarmRule": alarm["AlarmRule"]} if "AlarmRule" in alarm else {"metrics": []},
        "previousState": {"value": old, "reason": reason, "timestamp": now},
        "state": {"value": new, "reason": reason, "timestamp": now},
    }
    emit("aws.cloudwatch", "CloudWatch Alarm State Change", alarm["AlarmArn"], detail)


def _watch_alarms() -> None:
    plain = cloudwatch._record_history

    def record(name: str, old: str, new: str, reason: str, *more: Any, **named: Any) -> None:
        plain(name, old, new, reason, *more, **named)
        _emit_alarm(name, old, new, reason)

    cloudwatch._record_history = record


def _watch_deployments() -> None:
    plain_update, plain_complete = ecs._ACTION_MAP["UpdateService"], ecs._complete_service_deployment

    def announce(service: Record) -> None:
        for revision in service_revisions.remember(service):
            reason = f"ECS deployment {revision.deployment['id']} in progress."
            _emit_deployment(service, revision.deployment, "SERVICE_DEPLOYMENT_IN_PROGRESS", reason)

    def update(request: Record) -> Any:
        service_revisions.remember_all()
        answer = plain_update(request)
        for service in list(ecs._services.values()):
            announce(service)
        return answer

    def complete(cluster: str, key: str, *more: Any, **named: Any) -> Any:
        service = ecs._services.get(key)
        if service is None:
            return plain_complete(cluster, key, *more, **named)
        announce(service)
        in_progress = [d for d in service["deployments"] if d.get("rolloutState") == "IN_PROGRESS"]
        answer = plain_complete(cluster, key, *more, **named)
        for deployment in in_progress:
            if deployment["rolloutState"] == "COMPLETED":
                reason = f"ECS deployment {deployment['id']} completed."
                _emit_deployment(service, deployment, "SERVICE_DEPLOYMENT_COMPLETED", reason)
        return answer

    ecs._ACTION_MAP["UpdateService"] = update
    ecs._complete_service_deployment = complete


def install() -> None:
    """Send the events of alarms and deployments from now on."""
    _watch_alarms()
    _watch_deployments()
