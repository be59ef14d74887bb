"""The doctor with services of other kinds: what it asks about, what it leaves out, and what it says of that."""

from typing import Any

import pytest
from simulations.doctor import Patient, healthy_patient, with_settings
from support.builders import SERVICE, image

from rollback.check import Verdict
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.settings.watched import ExtraAlarm, Starts, Unwatched
from rollback.errors import CallRefused, RefusalKind
from rollback.names import leaf_alarm
from rollback_cli.doctor.finding import Finding, Group

PREFIX, ORDERS = "macro-ai-production", "orders-per-minute"
NO_RUNNING_TASKS = leaf_alarm(PREFIX, SERVICE, "no-running-tasks")


def set_service(patient: Patient, **fields: Any) -> None:
    service: ServiceSettings = patient.simulation.service_settings.model_copy(update=fields)
    with_settings(patient, services=(service,))


def finding(patient: Patient, check: str) -> Finding:
    return next(found for found in patient.findings() if found.check.replace(f"-{SERVICE}", "") == check)


def worker() -> Patient:
    """A service without a load balancer, whose alarms are about its tasks."""
    patient = healthy_patient()
    patient.simulation.services.target_groups = ()
    alarm = {
        "AlarmName": NO_RUNNING_TASKS,
        "Dimensions": [{"Name": "ServiceName", "Value": patient.simulation.service_settings.ecs_service}],
    }
    patient.account.metric_alarms = {NO_RUNNING_TASKS: alarm}
    for composite in patient.account.composites.values():
        composite["AlarmRule"] = f'ALARM("{NO_RUNNING_TASKS}")'
    return patient


def test_a_worker_is_not_asked_for_a_load_balancer() -> None:
    patient = worker()
    found = finding(patient, "target-groups-are-in-use")
    assert (found.verdict, found.seen) == (
        Verdict.PASS,
        "the service has no load balancer, so its requests are not counted: its tasks are judged",
    )
    assert finding(patient, "alarms-watch-this-service").verdict is Verdict.PASS
    assert finding(patient, "alarms-have-data").verdict is Verdict.PASS


def test_an_alarm_about_running_tasks_without_data_can_not_detect_a_workers_outage() -> None:
    patient = worker()
    patient.simulation.alarms.last_data[NO_RUNNING_TASKS] = patient.account.date.replace(year=2025)
    found = finding(patient, "alarms-have-data")
    assert found.verdict is Verdict.FAIL
    assert f"{NO_RUNNING_TASKS} can't detect an outage" in found.seen


def test_a_daemon_is_refused_once_and_nothing_else_is_judged() -> None:
    patient = healthy_patient()
    patient.simulation.services.scheduling_strategy = "DAEMON"
    found = finding(patient, "service-is-supported")
    assert found.verdict is Verdict.FAIL
    assert "remove the service from the settings" in found.seen
    failed = [f.check for f in patient.findings() if f.verdict is Verdict.FAIL and f.group is Group.SERVICE]
    assert failed == [f"service-is-supported-{SERVICE}"]
    assert finding(patient, "service-is-stable").seen == (
        "not looked at: no rollback can deploy a service of this kind"
    )


def test_a_service_without_a_known_log_group_is_named() -> None:
    patient = healthy_patient()
    assert finding(patient, "error-lines-are-counted").verdict is Verdict.PASS
    set_service(patient, unwatched=(Unwatched.LOG_GROUP,))
    assert finding(patient, "error-lines-are-counted").verdict is Verdict.WARN


@pytest.mark.parametrize("starts", list(Starts))
def test_an_alarm_of_the_team_exists_whichever_kind_it_is(starts: Starts) -> None:
    patient = healthy_patient()
    set_service(patient, extra_alarms=(ExtraAlarm(alarm=ORDERS, starts=starts),))
    found = finding(patient, "alarms-exist")
    assert found.verdict is Verdict.FAIL
    assert f"the alarm {ORDERS} does not exist" in found.seen
    patient.simulation.alarms.others[ORDERS] = "OK"
    assert finding(patient, "alarms-exist").verdict is Verdict.PASS


def test_an_alarm_of_the_team_may_watch_any_other_resource() -> None:
    patient = healthy_patient()
    set_service(patient, extra_alarms=(ExtraAlarm(alarm=ORDERS),))
    patient.simulation.alarms.others[ORDERS] = "OK"
    dimension = {"Name": "LoadBalancer", "Value": "app/another/1"}
    patient.account.metric_alarms[ORDERS] = {"AlarmName": ORDERS, "Dimensions": [dimension]}
    rule = patient.account.composites[f"{PREFIX}-{SERVICE}-degraded"]
    rule["AlarmRule"] = f'{rule["AlarmRule"]} OR ALARM("{ORDERS}")'
    assert finding(patient, "alarms-watch-this-service").verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("registry", "seen"),
    [
        ("210987654321.dkr.ecr.eu-west-1.amazonaws.com", "is in another account or region"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com", "is in another account or region"),
        ("public.ecr.aws", "is not in ECR"),
    ],
)
def test_an_image_that_others_keep_is_named_and_its_repository_is_not_asked_about(registry: str, seen: str) -> None:
    patient = healthy_patient()
    sidecar = f"{registry}/proxy@sha256:{'b' * 64}"
    for definition in patient.definitions():
        definition["containerDefinitions"].append({"name": "proxy", "image": sidecar, "essential": False})
    found = [f for f in patient.findings() if f.check == f"images-stay-{SERVICE} (the running release)"]
    assert {f.verdict for f in found} == {Verdict.PASS, Verdict.WARN}
    assert any(sidecar in f.seen and seen in f.seen for f in found)


def test_a_missing_repository_is_no_repository_without_rules() -> None:
    patient = healthy_patient()

    def refuse(_: Any) -> Any:
        raise CallRefused("RepositoryNotFoundException", kind=RefusalKind.NOT_FOUND)

    patient.account._ecr_describe_images = refuse  # type: ignore[method-assign]
    found = finding(patient, "images-stay (v1)")
    assert found.verdict is Verdict.FAIL
    assert found.seen == f"ECR has no repository {image('v1').partition('/')[2].partition('@')[0]}"
