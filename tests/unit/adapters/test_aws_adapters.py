"""The pure parts of the adapters: views, names, errors, metrics, phases, and the creation of the ports."""

import io
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from support.builders import NOW, release, rollback

from rollback.adapters.aws.cloudwatch import dimension_of, is_transition_to_alarm
from rollback.adapters.aws.ecs.parse import (
    images_of_tasks,
    newest_of,
    require_supported_service,
    resolved_images,
    revision_arns,
    service_view,
)
from rollback.adapters.aws.errors import aws_call
from rollback.adapters.aws.reporting.metrics import LoggedMetrics
from rollback.adapters.aws.reporting.sns import acceptable_subject
from rollback.bootstrap import ports_from_environment
from rollback.domain.phases import phases
from rollback.domain.plan import Plan
from rollback.domain.rollback import Outcome, Rollback, TriggerEvent, Verification
from rollback.domain.service_progress import ServiceProgress
from rollback.errors import ExternalServiceError, InvalidRequest, Throttled, UnsupportedService
from rollback.resources.aws.container_image import parse

DIGEST = "sha256:" + "a" * 64
LAMBDAS = Path(__file__).parents[3] / "lambdas"


def client_error(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "UpdateService")


@pytest.mark.parametrize(("code", "status"), [("ThrottlingException", 400), ("TooManyRequestsException", 400),
                                              ("SlowDown", 503), ("Unknown", 429)])  # fmt: skip
def test_a_request_to_slow_down_may_be_sent_again(code: str, status: int) -> None:
    with pytest.raises(Throttled, match=rf"UpdateService on c/s failed: {code}"), aws_call("UpdateService", "c/s"):
        raise client_error(code, status)


def test_a_refusal_names_operation_and_resource() -> None:
    with (
        pytest.raises(ExternalServiceError, match=r"refused ecs:UpdateService on c/s \(AccessDenied: no\)") as error,
        aws_call("UpdateService", "c/s"),
    ):
        raise client_error("AccessDenied")
    assert not isinstance(error.value, Throttled)


def test_a_call_without_an_answer_may_have_taken_effect() -> None:
    with (
        pytest.raises(ExternalServiceError, match="check whether it took effect before sending") as error,
        aws_call("UpdateService", "c/s"),
    ):
        raise ConnectTimeoutError(endpoint_url="https://ecs")
    assert not isinstance(error.value, Throttled)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"services": [], "failures": [{"reason": "MISSING"}]}, "MISSING"),
        ({"services": [{"status": "INACTIVE"}]}, "INACTIVE"),
        ({"services": [{"status": "ACTIVE", "deploymentController": {"type": "CODE_DEPLOY"}}]}, "aws deploy stop-dep"),
        ({"services": [{"status": "ACTIVE", "deploymentController": {"type": "EXTERNAL"}}]}, "owns its task sets"),
        ({"services": [{"status": "ACTIVE", "deploymentConfiguration": {"strategy": "BLUE_GREEN"}}]}, "BLUE_GREEN"),
        ({"services": [{"status": "ACTIVE", "schedulingStrategy": "DAEMON"}]}, "DAEMON"),
    ],
)
def test_an_unsupported_service_is_refused(answer: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedService, match=reason):
        require_supported_service(answer, "c/s")


def revision(name: str, hours: int = 0) -> dict[str, Any]:
    image = {"containerName": "api", "image": f"host:5000/web:{name}", "imageDigest": DIGEST}
    return {"serviceRevisionArn": f"r/{name}", "taskDefinition": f"d/{name}",
            "createdAt": NOW + timedelta(hours=hours), "containerImages": [image]}  # fmt: skip


SERVICE_ANSWER = {
    "serviceArn": "s", "desiredCount": 2, "runningCount": 3, "pendingCount": 1,
    "currentServiceRevisions": [{"arn": "r/v3"}, {"arn": "r/v1"}],
    "loadBalancers": [{"targetGroupArn": "t"}, {"loadBalancerName": "classic"}],
    "deployments": [{"id": "1", "status": "PRIMARY", "taskDefinition": "d/v3", "runningCount": 1, "createdAt": NOW}],
}  # fmt: skip


def deployment(*sources: str, **more: Any) -> dict[str, Any]:
    return {"serviceDeploymentArn": "sd", "status": "IN_PROGRESS", "createdAt": NOW,
            "targetServiceRevision": {"arn": "r/v3"}, "sourceServiceRevisions": [{"arn": s} for s in sources],
            **more}  # fmt: skip


def source_of(newest: dict[str, Any]) -> str | None:
    view = service_view(SERVICE_ANSWER, newest, [revision("v1"), revision("v2"), revision("v3")])
    assert view.newest is not None
    return view.newest.source_definition_arn


def test_a_deployment_with_one_source_rolls_back_to_that_source() -> None:
    assert source_of(deployment("r/v1")) == "d/v1"


def test_a_deployment_with_several_sources_has_no_known_rollback_revision() -> None:
    assert source_of(deployment("r/v1", "r/v2")) is None
    assert source_of(deployment()) is None
    assert source_of(deployment("r/forgotten")) is None


def test_the_rollback_revision_takes_precedence_over_the_sources() -> None:
    assert source_of(deployment("r/v1", "r/v2", rollback={"serviceRevisionArn": "r/v2"})) == "d/v2"


def test_a_deployment_without_a_description_of_its_target_revision_is_ignored() -> None:
    assert service_view(SERVICE_ANSWER, deployment("r/v1"), []).newest is None


def test_each_revision_of_a_service_and_its_newest_deployment_is_listed_once() -> None:
    newest = deployment("r/v1", "r/v2", rollback={"serviceRevisionArn": "r/v2"})
    assert revision_arns(SERVICE_ANSWER, newest) == ("r/v3", "r/v1", "r/v2")
    assert revision_arns({}, None) == ()


def test_the_newest_service_deployment_names_the_revision_of_primary_if_two_revisions_share_a_definition() -> None:
    """ECS rolled back to the former revision of the same definition."""
    later_revision = {**revision("v3", hours=1), "serviceRevisionArn": "r/later"}
    later_revision["containerImages"] = [{**later_revision["containerImages"][0], "imageDigest": "sha256:" + "b" * 64}]
    newest = deployment("r/v3", status="ROLLBACK_SUCCESSFUL", rollback={"serviceRevisionArn": "r/v3"})
    newest["targetServiceRevision"] = {"arn": "r/later"}
    view = service_view(SERVICE_ANSWER, newest, [later_revision, revision("v3")])
    assert view.primary.revision_arn == "r/v3"
    assert view.images_of("r/v3") == {"api": f"host:5000/web@{DIGEST}"}
    assert view.images_of("r/later") == {"api": "host:5000/web@sha256:" + "b" * 64}
    assert view.target_groups == ("t",)


def test_a_container_with_different_digests_in_its_tasks_has_no_known_image() -> None:
    def task(*digests: str) -> dict[str, Any]:
        names = ("api", "sidecar")
        return {
            "containers": [{"name": n, "image": "web:1", "imageDigest": d} for n, d in zip(names, digests, strict=True)]
        }

    assert images_of_tasks([task(DIGEST, DIGEST), task(DIGEST, "sha256:" + "b" * 64)]) == {"api": f"web@{DIGEST}"}
    assert images_of_tasks([]) == {}


def test_a_container_without_a_digest_is_left_out() -> None:
    assert resolved_images({"containerImages": [{"containerName": "api", "image": "web:1"}]}) == {}


def test_the_newest_deployment_does_not_depend_on_the_order() -> None:
    old, new = {"createdAt": NOW}, {"createdAt": NOW + timedelta(minutes=1)}
    assert newest_of([old, new]) is new
    assert newest_of([new, old]) is new
    assert newest_of([]) is None


def test_an_ecr_image_is_parsed() -> None:
    host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    tagged_image, digested_image = parse(f"{host}/a/b:v1"), parse(f"{host}/a/b:v1@{DIGEST}")
    bare_image, chinese_image = parse(f"{host}/a"), parse("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a:1")
    assert tagged_image is not None
    assert digested_image is not None
    assert bare_image is not None
    assert chinese_image is not None
    assert (tagged_image.account, tagged_image.region, tagged_image.repository) == ("123456789012", "eu-west-1", "a/b")
    assert (tagged_image.tag, digested_image.digest) == ("v1", DIGEST)
    assert (bare_image.tag, bare_image.digest) == (None, None)
    assert chinese_image.region == "cn-north-1"


@pytest.mark.parametrize("image", ["nginx", "public.ecr.aws/a/b:1", "localhost:5000/a@" + DIGEST])
def test_an_image_of_another_registry_is_no_ecr_image(image: str) -> None:
    assert parse(image) is None


@pytest.mark.parametrize(("state", "is_firing"), [("ALARM", True), ("OK", False), ("INSUFFICIENT_DATA", False)])
def test_an_alarm_fires_only_when_its_state_changes_to_alarm(state: str, is_firing: bool) -> None:
    assert is_transition_to_alarm(json.dumps({"newState": {"stateValue": state}})) is is_firing


@pytest.mark.parametrize("data", ["", "not json", "[]", "{}", "null"])
def test_unreadable_alarm_history_counts_as_no_alarm(data: str) -> None:
    assert is_transition_to_alarm(data) is False


def test_dimensions_are_named_as_elb_names_them() -> None:
    arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012"
    assert dimension_of(f"{arn}:loadbalancer/app/web/1") == "app/web/1"
    assert dimension_of(f"{arn}:targetgroup/web/2") == "targetgroup/web/2"


@pytest.mark.parametrize(
    ("subject", "accepted"),
    [("a\nb", "a b"), ("v2 → v1 – done", "v2 -> v1 - done"), ("", "Rollback"), ("x" * 200, "x" * 99), ("é", "?")],
)
def test_a_subject_is_converted_to_a_form_that_sns_accepts(subject: str, accepted: str) -> None:
    assert acceptable_subject(subject) == accepted


def whole_rollback() -> Rollback:
    def at(seconds: float) -> Any:
        return NOW + timedelta(seconds=seconds)

    return rollback(
        event=TriggerEvent(id="e", at=at(-4)),
        plan=Plan(running=release("v2"), target=release("v1"), checks=()),
        service=ServiceProgress(started_at=at(1), escalation_level_since=at(1), done_at=at(31)),
        verification=Verification(started_at=at(32), passed_at=at(61)),
        outcome=Outcome.SUCCEEDED,
        concluded_at=at(62),
    )


def test_the_phases_of_a_rollback_follow_on_each_other() -> None:
    assert phases(whole_rollback()) == {"detect": 4, "decide": 1, "act": 30, "verify": 30}


def test_phases_that_were_not_reached_are_left_out() -> None:
    progress = ServiceProgress(started_at=NOW + timedelta(seconds=2), escalation_level_since=NOW + timedelta(seconds=2))
    assert phases(rollback()) == {}
    assert phases(rollback(service=progress)) == {"decide": 2}


def test_clocks_that_differ_make_no_negative_phase() -> None:
    assert phases(rollback(event=TriggerEvent(id="e", at=NOW + timedelta(seconds=1)))) == {"detect": 0}


def test_a_rollback_is_counted_in_one_line_of_embedded_metrics() -> None:
    output = io.StringIO()
    LoggedMetrics("macro-ai", "production", output).record_conclusion(whole_rollback())
    (line,) = output.getvalue().splitlines()
    metrics = json.loads(line)
    (definition,) = metrics["_aws"]["CloudWatchMetrics"]
    assert (definition["Namespace"], definition["Dimensions"]) == (
        "Rollback",
        [["Application", "Environment", "Service", "Type"]],
    )
    assert metrics["Application"] == "macro-ai"
    assert {m["Name"]: metrics[m["Name"]] for m in definition["Metrics"]} == {
        "Rollbacks": 1, "RollbacksSucceeded": 1, "RollbacksActed": 1,
        "DetectSeconds": 4, "DecideSeconds": 1, "ActSeconds": 30, "VerifySeconds": 30}  # fmt: skip
    assert (metrics["Environment"], metrics["Service"], metrics["Type"], metrics["outcome"]) == (
        "production", "express-api", "service", "succeeded")  # fmt: skip
    assert metrics["_aws"]["Timestamp"] == int((NOW + timedelta(seconds=62)).timestamp() * 1000)


def test_two_applications_with_one_environments_name_write_different_metrics() -> None:
    """The sweeps of one janitor must not hide that the janitor of another application stopped."""
    names = []
    for application in ("shop", "blog"):
        output = io.StringIO()
        metrics = LoggedMetrics(application, "production", output)
        metrics.record_sweep()
        metrics.record_readiness("api", is_rollback_available=True, stale_leases=0)
        for line in map(json.loads, output.getvalue().splitlines()):
            (definition,) = line["_aws"]["CloudWatchMetrics"]
            (dimensions,) = definition["Dimensions"]
            names.append((definition["Metrics"][0]["Name"], *(line[name] for name in dimensions)))
    assert len(set(names)) == 4


def test_a_missing_environment_variable_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLBACK_SETTINGS", raising=False)
    with pytest.raises(InvalidRequest, match="ROLLBACK_SETTINGS"):
        ports_from_environment()


def test_the_ports_are_created_without_a_region_a_client_or_httpx() -> None:
    program = """
import os, sys
service = '{"name": "a", "cluster": "c", "ecs_service": "s", "container": "x"}'
os.environ.update(ROLLBACK_SETTINGS='{"application": "a", "environment": "e", "services": [%s]}' % service,
                  LEDGER_TABLE="t", NOTIFICATION_TOPIC_ARN="arn:t", CRITICAL_TOPIC_ARN="arn:t")
from rollback.bootstrap import ports_from_environment
from rollback.drivers.all import ALL_DRIVERS
ports = ports_from_environment(ALL_DRIVERS)
assert "httpx" not in sys.modules
assert "botocore.client" not in sys.modules or not ports.services._reader._made
ports.http.get("http://[", 1)
assert "httpx" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(LAMBDAS)}, timeout=60)


@pytest.mark.parametrize("operation", ["DescribeServices", "GetItem", "ListTasks", "Query", "BatchGetItem"])
def test_a_read_without_an_answer_is_not_said_to_have_an_effect(operation: str) -> None:
    for failure in (ConnectTimeoutError(endpoint_url="https://ecs"), client_error("ServiceUnavailable", 503)):
        with (
            pytest.raises(ExternalServiceError, match="the call only reads: send it again later") as error,
            aws_call(operation, "c/s"),
        ):
            raise failure
        assert "took effect" not in str(error.value)
