"""Example calls of the ports to AWS and to operators (`rollback.ports`)."""

from datetime import timedelta
from typing import Any

from examples.calls import EachOf, Example, FromFake
from fakes.aws.alarms import TARGET_GROUP, FakeAlarms
from fakes.aws.autoscaling import FakeScaling
from fakes.aws.cloudformation import FakeStacks
from fakes.aws.ecs_services import FakeServices
from fakes.aws.ecs_tasks import FakeTasks
from fakes.aws.ecs_writers import FakeWriters, FakeWritersScaling
from fakes.aws.elb import FakeTargetGroups
from fakes.aws.events import FakeEvents
from fakes.aws.images import FakeImages, FakeReferences
from fakes.aws.metrics import FakeMetrics
from fakes.aws.report_store import FakeReportStore
from fakes.aws.secrets import FakeSecrets
from fakes.aws.sns import FakeNotifications
from fakes.aws.step_functions import FakeWorkflow, execution_arn
from fakes.cipher import FakeTokenCipher
from fakes.clock import FakeClock
from fakes.http import FakeHttp
from fakes.identity import FakeIdentityProofs
from fakes.webhooks import FakeWebhooks
from pydantic import SecretStr
from simulations.fake_ports import SETTINGS
from support.builders import NOW, definition, image, rollback

from rollback.domain.approval.identity_proof import SignedRequest
from rollback.ports.reporting import RollbackEvent
from rollback.resources.aws.cloudformation_stack import StackView
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ProbeResult, ScalableTarget, TargetHealth
from rollback.resources.database.probe import DatabaseProbe

(WEB,) = SETTINGS.services
OTHER_SERVICE = WEB.model_copy(update={"ecs_service": "another-service"})
OTHER_CLUSTER = WEB.model_copy(update={"cluster": "another-cluster"})
OTHER_CONTAINER = WEB.model_copy(update={"container": "another-container"})
ELSEWHERE = EachOf((OTHER_SERVICE, OTHER_CLUSTER))

FAMILY = "macro-ai-production-task"
FIRST, SECOND = (f"arn:aws:ecs:eu-west-1:123456789012:task-definition/{FAMILY}:{number}" for number in (1, 2))
QUIET = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
ACTIVE = dict.fromkeys(SCALING_FLAGS, False)
SCALED = ScalableTarget(min_capacity=3, max_capacity=6, suspended=ACTIVE)
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:neon-AbCdEf"
WHO, TOKEN, COMMAND = "express-api-20260301T030000Z-00000000", "a" * 32, ("down",)
TASK = f"arn:aws:ecs:eu-west-1:123456789012:task/{WEB.cluster}/{1:032x}"
OUTAGE, DEGRADED = "outage", "degraded"
UNUSED_GROUP = f"{TARGET_GROUP}1"
ROLE, FILE = "arn:aws:iam::123456789012:role/task", "arn:aws:s3:::settings/web.env"

PROBE = DatabaseProbe(branch="BRANCH#p#b", at=NOW, has_answered=True, connect_milliseconds=40, query_milliseconds=3)


def services() -> FakeServices:
    """Return an ECS fake that runs the first release; the second release is registered."""
    fake = FakeServices(FakeClock(NOW))
    definitions = [fake.register_release(definition(version), FAMILY) for version in ("v1", "v2")]
    assert definitions == [FIRST, SECOND]
    fake.run(FIRST, desired_count=2)
    return fake


def writers() -> FakeWriters:
    """Return ECS fakes of the service and of a worker."""
    api = services()
    worker_services = FakeServices(FakeClock(NOW), ecs_service="worker", beside=api)
    worker_services.run(FIRST, desired_count=5)
    return FakeWriters({"express-api": api, "worker": worker_services})


def writers_scaling() -> FakeWritersScaling:
    """Return Application Auto Scaling fakes; the first service has a scalable target."""
    services_of_both = writers()
    services_of_both.scaling["express-api"].target = SCALED
    services_of_both.scaling["express-api"].predictive = ("by-forecast",)
    return services_of_both.as_scaling


def tasks() -> FakeTasks:
    """Return a fake with one started task that logs two lines."""
    fake = FakeTasks(services())

    def says(log: list[str]) -> None:
        log += ["first", "second"]

    fake.commands["down"] = says
    fake.run(WEB, FIRST, COMMAND, WHO, TOKEN)
    return fake


def began(fake: FakeTasks) -> None:
    """Let the task run."""
    for _ in range(3):
        fake.describe(WEB, TASK)


def report_store() -> FakeReportStore:
    """Return a store with one report."""
    fake = FakeReportStore(is_made=True)
    fake.put("stored.md", "text/markdown", "# stored")
    return fake


def alarms() -> FakeAlarms:
    """Return alarms of which the outage alarm turned to ALARM a minute ago."""
    fake = FakeAlarms()
    fake.fire(OUTAGE, NOW - timedelta(minutes=1))
    fake.recover(DEGRADED)
    fake.muted[OUTAGE] = ("release night",)
    fake.last_data[OUTAGE] = NOW
    fake.serve(TARGET_GROUP, 7, NOW)
    fake.log("macro-ai-production-express-api/rollback", 3, NOW)
    return fake


def secrets() -> FakeSecrets:
    fake = FakeSecrets()
    fake.values[SECRET] = SecretStr("before")
    fake.values[f"{SECRET}2"] = SecretStr("of another")
    fake.missing |= {"/gone", "gone"}
    return fake


def images() -> FakeImages:
    """Return images: v1 exists with a tag and a label, v2 was deleted."""
    fake = FakeImages()
    fake.missing.add(image("v2"))
    fake.labels[image("v1")] = {"revision": "abc"}
    return fake


def workflow() -> FakeWorkflow:
    fake = FakeWorkflow()
    fake.running.add(execution_arn("one"))
    fake.waiting.add("token-1")
    return fake


def identity_proofs() -> FakeIdentityProofs:
    """Return an STS that knows one signature."""
    fake = FakeIdentityProofs()
    fake.sign("arn:aws:sts::123456789012:assumed-role/OnCall/ada", "purpose", "20260301T030000Z")
    return fake


def token_cipher() -> FakeTokenCipher:
    return FakeTokenCipher()


def http() -> FakeHttp:
    fake = FakeHttp()
    fake.answers["http://api.test/slow"] = ProbeResult(status=503, seconds=1, body="out of connections")
    return fake


def scaling() -> FakeScaling:
    fake = FakeScaling(services(), SCALED)
    fake.predictive = ("by-forecast",)
    return fake


def stacks() -> FakeStacks:
    return FakeStacks(StackView(name="web", status="UPDATE_COMPLETE", definition_arns=(FIRST,)))


def targets() -> FakeTargetGroups:
    """Return target groups: the service uses its group, and another group is unused."""
    fake = FakeTargetGroups(services())
    fake.others = (f"{TARGET_GROUP}-other",)
    fake.answers[UNUSED_GROUP] = (TargetHealth(target="10.0.0.1:80", state="unused", reason="Target.NotInUse"),)
    return fake


def references() -> FakeReferences:
    fake = FakeReferences()
    fake.roles.add(ROLE)
    fake.log_groups.add(("", "/web"))
    fake.files.add(FILE)
    return fake


def clock() -> FakeClock:
    return FakeClock(NOW)


def metrics() -> FakeMetrics:
    return FakeMetrics()


def events() -> FakeEvents:
    return FakeEvents()


def webhooks() -> FakeWebhooks:
    return FakeWebhooks()


def notifications() -> FakeNotifications:
    return FakeNotifications()


def in_flight(fake: Any) -> None:
    """Begin a deployment of the second release."""
    fake.update(WEB, definition_arn=SECOND)


_UPDATE = {
    "service": WEB,
    "definition_arn": SECOND,
    "desired_count": 4,
    "deployment_configuration": QUIET,
    "force_new_deployment": False,
}

EXAMPLES: dict[str, Example] = {
    "Clock.now": Example({}, {}),
    "Services.describe": Example({"service": WEB}, {"service": ELSEWHERE}),
    "Services.definition": Example({"arn_or_family": FIRST}, {"arn_or_family": EachOf((SECOND, FAMILY, "none"))}),
    "Services.register": Example(
        {"definition": definition("v3"), "family": "web", "release": "f" * 64, "tags": {"team": "web"}},
        {
            "definition": EachOf((definition("v4"), {**definition("v3"), "containerDefinitions": []})),
            "family": EachOf(("shop", "not a family")),
            "release": EachOf(("e" * 64, "no tag's value: <>")),
            "tags": EachOf((None, {"team": "no tag's value: <>"})),
        },
    ),
    "Services.update": Example(
        _UPDATE,
        {
            "service": ELSEWHERE,
            "definition_arn": EachOf((FIRST, f"{SECOND}0")),
            "desired_count": EachOf((None, 5, -1)),
            "deployment_configuration": EachOf((None, {"maximumPercent": 150}, {"no_such_setting": 1})),
            "force_new_deployment": True,
        },
        arrange=in_flight,
    ),
    "Services.task_images": Example(
        {"service": WEB, "definition_arn": FIRST, "deployment_id": None},
        {"service": ELSEWHERE, "definition_arn": SECOND, "deployment_id": "ecs-svc/another"},
    ),
    "Services.unstopped_tasks": Example({"service": WEB}, {"service": ELSEWHERE}),
    "Services.service_tasks": Example({"service": WEB}, {"service": ELSEWHERE}),
    "Services.has_container_insights": Example({"cluster": WEB.cluster}, {"cluster": "another-cluster"}),
    "Services.stop_deployment": Example(
        {"service_deployment_arn": FromFake(lambda made: made.describe(WEB).newest.arn)},
        {"service_deployment_arn": "arn:aws:ecs:eu-west-1:123456789012:service-deployment/c/s/none"},
        arrange=in_flight,
    ),
    "Tasks.run": Example(
        {"service": WEB, "definition_arn": FIRST, "command": COMMAND, "started_by": WHO, "token": TOKEN},
        {
            "service": EachOf((OTHER_SERVICE, OTHER_CLUSTER, OTHER_CONTAINER)),
            "definition_arn": EachOf((SECOND, f"{SECOND}0")),
            "command": ("up",),
            "started_by": EachOf(("another", "not allowed: <>")),
            "token": EachOf(("b" * 32, "b" * 65)),
        },
    ),
    "Tasks.started_by": Example(
        {"service": WEB, "started_by": WHO}, {"service": EachOf((OTHER_CLUSTER, OTHER_CONTAINER)), "started_by": "x"}
    ),
    "Tasks.describe": Example(
        {"service": WEB, "arn": TASK}, {"service": EachOf((OTHER_CLUSTER, OTHER_CONTAINER)), "arn": f"{TASK}0"}
    ),
    "Tasks.logs": Example(
        {"service": WEB, "arn": TASK, "lines": 1},
        {"service": EachOf((OTHER_CLUSTER, OTHER_CONTAINER)), "arn": f"{TASK}0", "lines": EachOf((2, 0))},
        arrange=began,
    ),
    "Tasks.stop": Example(
        {"service": WEB, "arn": TASK, "reason": "it takes too long"},
        {"service": OTHER_CLUSTER, "arn": f"{TASK}0", "reason": "another"},
        arrange=began,
    ),
    "Targets.health": Example({"target_group_arn": TARGET_GROUP}, {"target_group_arn": f"{TARGET_GROUP}0"}),
    "Targets.health_checks": Example(
        {"target_group_arns": (TARGET_GROUP,)}, {"target_group_arns": EachOf(((), (f"{TARGET_GROUP}0",)))}
    ),
    "Targets.has_load_balancer": Example(
        {"target_group_arn": TARGET_GROUP}, {"target_group_arn": EachOf((f"{TARGET_GROUP}0", UNUSED_GROUP))}
    ),
    "References.role_exists": Example({"role": ROLE}, {"role": f"{ROLE}2"}),
    "References.log_group_exists": Example({"name": "/web", "region": ""}, {"name": "/shop", "region": "us-east-1"}),
    "References.file_exists": Example({"arn": FILE}, {"arn": f"{FILE}2"}),
    "Scaling.predictive_policies": Example({"service": WEB}, {"service": ELSEWHERE}),
    "Targets.sibling_target_groups": Example(
        {"target_group_arns": (TARGET_GROUP,)}, {"target_group_arns": EachOf(((), (f"{TARGET_GROUP}0",)))}
    ),
    "Scaling.describe": Example({"service": WEB}, {"service": ELSEWHERE}),
    "Scaling.put": Example(
        {"service": WEB, "target": SCALED.all_suspended()},
        {
            "service": ELSEWHERE,
            "target": EachOf(
                (
                    SCALED,
                    SCALED.model_copy(update={"min_capacity": 7}),
                    SCALED.model_copy(update={"min_capacity": -1}),
                    SCALED.model_copy(update={"suspended": {"NoSuchFlag": True}}),
                )
            ),
        },
    ),
    "Stacks.describe": Example({"stack": "web"}, {"stack": "shop"}),
    "Secrets.exists": Example(
        {"value_from": SECRET}, {"value_from": EachOf(("/gone", "arn:aws:ssm:eu-west-1:123456789012:parameter/gone"))}
    ),
    "Secrets.read": Example({"arn": SECRET}, {"arn": EachOf((f"{SECRET}2", f"{SECRET}3"))}),
    "Secrets.write": Example(
        {"arn": SECRET, "value": SecretStr("after"), "token": TOKEN},
        {
            "arn": EachOf((f"{SECRET}2", f"{SECRET}3")),
            "value": SecretStr("another"),
            "token": EachOf(("b" * 32, "too short")),
        },
        arrange=lambda made: made.write(SECRET, SecretStr("after"), TOKEN),
    ),
    "Images.exists": Example({"image": image("v1")}, {"image": EachOf((image("v2"), "nginx"))}),
    "Images.image_states": Example(
        {"images": (image("v1"),)}, {"images": EachOf(((image("v2"),), ("nginx",), (image("v1"), image("v2"))))}
    ),
    "Images.digest_of": Example({"image": image("v1")}, {"image": EachOf((image("v2"), "nginx"))}),
    "Images.label": Example(
        {"image": image("v1"), "name": "revision"}, {"image": EachOf((image("v2"), "nginx")), "name": "source"}
    ),
    "Images.add_tag": Example(
        {"image": image("v1"), "tag": "kept"},
        {"image": EachOf((image("v2"), image("v3"), "nginx")), "tag": EachOf(("kept-too", "not a tag"))},
    ),
    "Alarms.states": Example({"names": (OUTAGE,)}, {"names": EachOf(((DEGRADED,), ("none",), ("n" * 256,)))}),
    "Alarms.in_alarm_since": Example({"names": (OUTAGE,)}, {"names": EachOf(((DEGRADED,), ("n" * 256,)))}),
    "Alarms.state_before": Example(
        {"name": OUTAGE, "since": NOW - timedelta(minutes=2)},
        {"name": EachOf((DEGRADED, "none", "n" * 256)), "since": NOW},
    ),
    "Alarms.without_data": Example(
        {"names": (OUTAGE,), "since": NOW},
        {"names": EachOf(((DEGRADED,), ("n" * 256,))), "since": NOW - timedelta(seconds=1)},
    ),
    "Alarms.mute_rules": Example({"name": OUTAGE}, {"name": EachOf((DEGRADED, "n" * 256))}),
    "Alarms.fired_since": Example(
        {"names": (OUTAGE,), "since": NOW - timedelta(minutes=2)},
        {"names": EachOf(((DEGRADED,), ("n" * 256,))), "since": NOW},
    ),
    "Alarms.error_logs_between": Example(
        {"namespace": "macro-ai-production-express-api/rollback", "since": NOW, "until": NOW + timedelta(minutes=1)},
        {"namespace": "none", "since": NOW + timedelta(minutes=1), "until": NOW},
    ),
    "Alarms.requests_between": Example(
        {"target_groups": (TARGET_GROUP,), "since": NOW, "until": NOW + timedelta(minutes=1)},
        {
            "target_groups": EachOf(((), (f"{TARGET_GROUP}0",))),
            "since": NOW + timedelta(minutes=1),
            "until": NOW,
        },
    ),
    "Alarms.requests_since": Example(
        {"target_groups": (TARGET_GROUP,), "since": NOW - timedelta(minutes=2)},
        {"target_groups": EachOf(((), (f"{TARGET_GROUP}0",))), "since": NOW + timedelta(minutes=2)},
    ),
    "Alarms.traffic": Example(
        {
            "target_groups": (TARGET_GROUP,),
            "since": NOW - timedelta(minutes=2),
            "until": NOW + timedelta(minutes=5),
            "with_balancer_errors": False,
        },
        {
            "target_groups": EachOf(((), (f"{TARGET_GROUP}0",))),
            "since": NOW + timedelta(minutes=2),
            "until": NOW - timedelta(minutes=1),
            "with_balancer_errors": True,
        },
    ),
    "ReportStore.is_available": Example({}, {}),
    "ReportStore.put": Example(
        {"key": "production/api/one/report.html", "content_type": "text/html", "text": "<p>"},
        {"key": EachOf(("other.html", "")), "content_type": "text/markdown", "text": "<h1>"},
    ),
    "ReportStore.read": Example({"key": "stored.md"}, {"key": EachOf(("missing.md", ""))}),
    "ReportStore.link": Example({"key": "stored.md"}, {"key": EachOf(("missing.md", ""))}),
    "Http.get": Example(
        {"url": "http://api.test/slow", "timeout_seconds": 2.0, "with_body": False},
        {
            "url": EachOf(("http://api.test/", "http://elsewhere.test/slow", "http://[")),
            "timeout_seconds": 0.5,
            "with_body": True,
        },
    ),
    "Notifications.publish": Example(
        {"subject": "it ended", "message": "it succeeded", "attributes": {"severity": "info"}},
        {
            "subject": EachOf(("another", "x" * 200)),
            "message": EachOf(("another", "", "x" * 300_000)),
            "attributes": EachOf(({"severity": "page"}, {"not a name": "x"}, {})),
        },
    ),
    "Notifications.publish_to_chat": Example({"message": "{}"}, {"message": EachOf(("[]", "", "x" * 300_000))}),
    "Webhooks.post": Example(
        {"url": SecretStr("https://hooks.slack.com/1"), "body": b"{}", "headers": {}},
        {"url": SecretStr("https://hooks.slack.com/2"), "body": b"[]", "headers": {"a": "b"}},
    ),
    "Metrics.record_conclusion": Example({"rollback": rollback()}, {"rollback": rollback(version=7)}),
    "Metrics.record_sweep": Example({}, {}),
    "Metrics.record_deliveries": Example({"late": 2}, {"late": 3}),
    "Events.put": Example(
        {"events": (RollbackEvent("rollback.started", {"a": 1}),)},
        {
            "events": EachOf(
                (
                    (RollbackEvent("rollback.planned", {"a": 1}),),
                    (),
                    (RollbackEvent("rollback.started", {"a": "x" * 300_000}),),
                )
            )
        },
    ),
    "Metrics.record_readiness": Example(
        {"service": "a", "is_rollback_available": True, "stale_leases": 0},
        {"service": "b", "is_rollback_available": False, "stale_leases": 1},
    ),
    "Metrics.record_drill_age": Example({"service": "a", "days": 3.5}, {"service": "b", "days": 0.0}),
    "Metrics.record_database": Example({"probe": PROBE}, {"probe": PROBE.model_copy(update={"has_answered": False})}),
    "Workflow.start": Example(
        {"name": "two", "execution_input": {"a": 1}},
        {
            "name": EachOf(("three", "n" * 81, "not a name")),
            "execution_input": EachOf(({"a": 2}, {"a": "x" * 300_000})),
        },
    ),
    "Workflow.is_running": Example({"execution": execution_arn("one")}, {"execution": execution_arn("two")}),
    "Workflow.stop": Example(
        {"execution": execution_arn("one"), "cause": "taken over", "error": "Aborted"},
        {"execution": EachOf((execution_arn("two"), "direct:ada:1")), "cause": "another", "error": "InvalidRequest"},
    ),
    "Workflow.send_task_success": Example({"token": "token-1"}, {"token": "token-2"}),
    "IdentityProofs.endpoint": Example({}, {}),
    "IdentityProofs.region": Example({}, {}),
    "IdentityProofs.identify": Example(
        {"request": SignedRequest({"authorization": f"Signature={1:064x}"})},
        {"request": SignedRequest({"authorization": f"Signature={2:064x}"})},
    ),
    "TokenCipher.encrypt": Example(
        {"rollback_id": "api-1", "token": "token-1"}, {"rollback_id": "api-2", "token": "token-2"}
    ),
    "TokenCipher.decrypt": Example(
        {"rollback_id": "api-1", "ciphertext": FakeTokenCipher().encrypt("api-1", "token-1")},
        {"rollback_id": "api-2", "ciphertext": FakeTokenCipher().encrypt("api-1", "token-2")},
    ),
}
