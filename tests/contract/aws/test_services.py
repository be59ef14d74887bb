"""Promises of the ports to ECS and to target groups, kept on the fake and on the embedded cloud."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest
from contract.local_cloud.workload import Workload, eventually
from contract.real_ports import real_ports
from fakes.aws.ecs_services import CLUSTER, ECS_SERVICE, Behaviour, FakeServices
from fakes.aws.ecs_writers import FakeWriters
from fakes.aws.elb import FakeTargetGroups
from fakes.aws.images import FakeImages
from fakes.clock import FakeClock
from support.builders import SERVICE

from local_cloud.deployment.server import LocalCloud
from local_cloud.listing import list_all
from rollback.check import Verdict
from rollback.domain.releases.release import fingerprint, normalised_definition
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError, RefusalKind, UnsupportedService
from rollback.names import RELEASE_TAG
from rollback.ports.aws.ecs import Services
from rollback.ports.aws.elb import Targets
from rollback.resources.aws.ecs_service import IN_FLIGHT, ServiceView
from rollback.resources.aws.ecs_task import failures_since
from rollback.resources.aws.service_shape import check_fits_service

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
QUIET_BREAKER = {"enable": True, "rollback": False}
QUIET = {"deploymentCircuitBreaker": QUIET_BREAKER}


class Harness(Protocol):
    """A service to describe, and the means to change it."""

    services: Services
    targets: Targets
    settings: ServiceSettings

    def release(self, tag: str, behaviour: Behaviour = "healthy") -> str: ...
    def push(self, tag: str) -> None: ...
    def run(self, definition_arn: str, grace_seconds: int = 0) -> None: ...
    def deregister(self, definition_arn: str) -> None: ...
    def wait(self, until: Callable[[ServiceView], bool]) -> ServiceView: ...
    def share_balancer(self) -> str:
        """Put another target group behind a rule of the service's load balancer; return its ARN."""
        ...


class FakeHarness:
    settings = ServiceSettings(name=SERVICE, cluster=CLUSTER, ecs_service=ECS_SERVICE, container="app")

    def __init__(self) -> None:
        self.images = FakeImages()
        self.fake = FakeServices(FakeClock(datetime(2026, 3, 1, tzinfo=UTC)), self.images)
        self.fake.deployment_configuration.update(BREAKER)
        self.services: Services = self.fake
        self.targets: Targets = FakeTargetGroups(self.fake)

    def release(self, tag: str, behaviour: Behaviour = "healthy") -> str:
        image = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:{tag}"
        self.images.push(image, "sha256:" + tag.encode().hex().rjust(64, "0"))
        definition = {"containerDefinitions": [{"name": "app", "image": image}], "cpu": "256", "memory": "512"}
        arn = self.fake.register_release(definition, "web")
        self.fake.behaviours[arn] = behaviour
        return arn

    def push(self, tag: str) -> None:
        self.images.push(f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:{tag}", "sha256:" + "e" * 64)

    def run(self, definition_arn: str, grace_seconds: int = 0) -> None:
        self.fake.run(definition_arn, desired_count=2)

    def deregister(self, definition_arn: str) -> None:
        self.fake.deregister(definition_arn)

    def share_balancer(self) -> str:
        other = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/other/0123456789abcdef"
        self.targets.others = (other,)  # type: ignore[attr-defined]
        return other

    def wait(self, until: Callable[[ServiceView], bool]) -> ServiceView:
        for _ in range(20):
            view = self.services.describe(self.settings)
            if until(view):
                return view
            self.fake.tick()
        raise AssertionError(f"never: {view}")


class LocalCloudHarness:
    def __init__(self, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
        self.web = Workload(cloud)
        self.settings = ServiceSettings(name=SERVICE, cluster=self.web.name, ecs_service=self.web.name, container="app")
        ports = real_ports(cloud, monkeypatch, self.settings)
        self.services, self.targets = ports.services, ports.target_groups

    def release(self, tag: str, behaviour: Behaviour = "healthy") -> str:
        crash: dict[str, Any] = {"kind": "crash", "after_seconds": 0.2}
        return self.web.release(tag, crash if behaviour == "crashing" else {"kind": behaviour})

    def push(self, tag: str) -> None:
        self.web.push(tag, {"kind": "healthy", "is": "another"})

    def run(self, definition_arn: str, grace_seconds: int = 0) -> None:
        self.web.start_and_wait(
            definition_arn, desired=2, deploymentConfiguration=BREAKER, healthCheckGracePeriodSeconds=grace_seconds
        )

    def deregister(self, definition_arn: str) -> None:
        self.web.ecs.deregister_task_definition(taskDefinition=definition_arn)

    def share_balancer(self) -> str:
        elbv2 = self.web.elbv2
        vpc = elbv2.describe_target_groups(TargetGroupArns=[self.web.target_group])["TargetGroups"][0]["VpcId"]
        created_group = elbv2.create_target_group(Name=f"{self.web.name}-o", Protocol="HTTP", Port=80, VpcId=vpc)
        other: str = created_group["TargetGroups"][0]["TargetGroupArn"]
        listener = elbv2.describe_listeners(LoadBalancerArn=self.web.load_balancer)["Listeners"][0]["ListenerArn"]
        elbv2.create_rule(
            ListenerArn=listener,
            Priority=1,
            Conditions=[{"Field": "path-pattern", "Values": ["/other/*"]}],
            Actions=[{"Type": "forward", "TargetGroupArn": other}],
        )
        return other

    def wait(self, until: Callable[[ServiceView], bool]) -> ServiceView:
        def describe() -> ServiceView | None:
            view = self.services.describe(self.settings)
            return view if until(view) else None

        return eventually(describe)


@pytest.fixture(params=["fake", "cloud"])
def harness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    if request.param == "fake":
        yield FakeHarness()
        return
    harness_on_cloud = LocalCloudHarness(request.getfixturevalue("cloud"), monkeypatch)
    yield harness_on_cloud
    if list_all(harness_on_cloud.web.ecs, "list_services", "serviceArns", cluster=harness_on_cloud.web.name):
        harness_on_cloud.web.delete()


def is_settled_on(definition_arn: str) -> Callable[[ServiceView], bool]:
    return lambda view: (
        view.primary.definition_arn == definition_arn
        and view.primary.rollout_state == "COMPLETED"
        and len(view.deployments) == 1
    )


def images_by_definition(view: ServiceView) -> dict[str, dict[str, str]]:
    """View of a service whose definitions have one revision each."""
    return {revision.definition_arn: revision.images for revision in view.revisions.values()}


def newest_status(view: ServiceView) -> str:
    assert view.newest is not None
    return view.newest.status


def test_the_description_of_a_stable_service_is_complete(harness: Harness) -> None:
    first = harness.release("v1")
    harness.run(first)
    view = harness.wait(is_settled_on(first))
    assert (view.desired_count, view.running_count, view.pending_count) == (2, 2, 0)
    assert view.newest is not None
    assert (view.newest.status, view.newest.target_definition_arn) == ("SUCCESSFUL", first)
    assert view.newest.source_definition_arn is None
    assert view.primary.created_at.tzinfo is not None
    assert "@sha256:" in images_by_definition(view)[first]["app"]
    assert ":v1" not in images_by_definition(view)[first]["app"]
    assert view.deployment_configuration["deploymentCircuitBreaker"] == BREAKER["deploymentCircuitBreaker"]
    assert view.last_events


def test_a_deployment_in_flight_shows_its_source_and_both_images(harness: Harness) -> None:
    first, second = harness.release("v1"), harness.release("v2", "unhealthy")
    harness.run(first)
    harness.services.update(harness.settings, definition_arn=second)
    view = harness.services.describe(harness.settings)
    assert view.newest is not None
    assert view.newest.status in IN_FLIGHT
    assert view.newest.source_definition_arn == first
    assert view.primary.definition_arn == second
    assert {d.definition_arn for d in view.deployments} == {first, second}
    assert images_by_definition(view).keys() == {first, second}


def test_an_update_completes_on_the_new_definition(harness: Harness) -> None:
    first, second = harness.release("v1"), harness.release("v2")
    harness.run(first)
    harness.services.update(harness.settings, definition_arn=second, desired_count=3)
    view = harness.wait(is_settled_on(second))
    assert harness.wait(lambda v: v.running_count == 3).desired_count == 3
    assert newest_status(view) == "SUCCESSFUL"


def test_a_stopped_deployment_returns_to_its_source(harness: Harness) -> None:
    first, second = harness.release("v1"), harness.release("v2", "unhealthy")
    harness.run(first)
    harness.services.update(harness.settings, definition_arn=second)
    newest = harness.services.describe(harness.settings).newest
    assert newest is not None
    harness.services.stop_deployment(newest.arn)
    view = harness.wait(is_settled_on(first))
    assert newest_status(view) == "ROLLBACK_SUCCESSFUL"
    assert view.newest is not None
    assert (view.newest.arn, view.newest.source_definition_arn) == (newest.arn, first)


def test_only_a_deployment_in_flight_can_be_stopped(harness: Harness) -> None:
    first = harness.release("v1")
    harness.run(first)
    newest = harness.wait(is_settled_on(first)).newest
    assert newest is not None
    with pytest.raises(ExternalServiceError, match="StopServiceDeployment"):
        harness.services.stop_deployment(newest.arn)


def test_the_circuit_breaker_returns_to_the_last_completed_revision_of_the_service(harness: Harness) -> None:
    first, second = harness.release("v1"), harness.release("v2", "unhealthy")
    harness.run(first)
    harness.services.update(harness.settings, definition_arn=second)
    harness.wait(lambda view: newest_status(view) == "ROLLBACK_IN_PROGRESS" or is_settled_on(first)(view))
    assert newest_status(harness.wait(is_settled_on(first))) == "ROLLBACK_SUCCESSFUL"


def test_a_circuit_breaker_without_rollback_keeps_the_failed_definition(harness: Harness) -> None:
    first, second = harness.release("v1"), harness.release("v2", "crashing")
    harness.run(first)
    harness.services.update(harness.settings, definition_arn=second, deployment_configuration=QUIET)
    view = harness.wait(lambda view: view.primary.rollout_state == "FAILED")
    assert view.primary.definition_arn == second
    assert newest_status(view) == "STOPPED"


def test_a_change_of_the_configuration_starts_no_deployment_and_is_kept(harness: Harness) -> None:
    first = harness.release("v1")
    harness.run(first)
    original = harness.wait(is_settled_on(first))
    harness.services.update(harness.settings, deployment_configuration=QUIET)
    after = harness.services.describe(harness.settings)
    assert (after.newest, after.primary) == (original.newest, original.primary)
    assert after.deployment_configuration == {**original.deployment_configuration, **QUIET}
    harness.services.update(harness.settings, deployment_configuration=original.deployment_configuration)
    assert harness.services.describe(harness.settings).deployment_configuration == original.deployment_configuration


def test_an_inactive_definition_is_described_but_refused(harness: Harness) -> None:
    first, second = harness.release("v1"), harness.release("v2")
    harness.run(second)
    harness.deregister(first)
    described = harness.services.definition(first)
    assert described is not None
    assert described["status"] == "INACTIVE"
    with pytest.raises(ExternalServiceError, match="inactive"):
        harness.services.update(harness.settings, definition_arn=first)


def test_a_family_means_its_newest_active_revision(harness: Harness) -> None:
    first, second = harness.release("v1"), harness.release("v2")
    family = second.rsplit("/")[-1].split(":")[0]
    assert (harness.services.definition(family) or {})["taskDefinitionArn"] == second
    harness.deregister(second)
    assert (harness.services.definition(family) or {})["taskDefinitionArn"] == first


@pytest.mark.parametrize(
    "name", ["no-such-family", "arn:aws:ecs:eu-west-1:123456789012:task-definition/no-such-family:1"]
)
def test_a_missing_definition_is_none(harness: Harness, name: str) -> None:
    assert harness.services.definition(name) is None


def test_a_stored_definition_is_registered_as_the_same_release(harness: Harness) -> None:
    first = harness.release("v1")
    harness.run(first)
    view = harness.wait(is_settled_on(first))
    images = view.images_of(view.primary.revision_arn)
    raw = harness.services.definition(first)
    assert raw is not None
    arn = harness.services.register(normalised_definition(raw, images), "web-last-known-good", "f" * 64)
    registered = harness.services.definition(arn)
    assert registered is not None
    assert registered["family"] == "web-last-known-good"
    assert fingerprint(registered, {}) == fingerprint(raw, images)


def test_the_error_about_a_missing_service_names_the_service(harness: Harness) -> None:
    with pytest.raises(UnsupportedService, match=harness.settings.ecs_service):
        harness.services.describe(harness.settings)


def test_each_target_has_the_health_of_its_task(harness: Harness) -> None:
    first = harness.release("v1")
    harness.run(first, grace_seconds=3600)
    (group,) = harness.wait(is_settled_on(first)).target_groups
    assert [t.state for t in harness.targets.health(group)] == ["healthy", "healthy"]
    harness.services.update(harness.settings, definition_arn=harness.release("v2", "unhealthy"))
    harness.wait(lambda view: "unhealthy" in {t.state for t in harness.targets.health(group)})
    reasons = {t.reason for t in harness.targets.health(group) if t.state == "unhealthy"}
    assert reasons == {"Target.ResponseCodeMismatch"}


def test_a_missing_target_group_is_a_failure(harness: Harness) -> None:
    missing_group = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/gone/0123456789abcdef"
    with pytest.raises(ExternalServiceError, match="DescribeTargetHealth"):
        harness.targets.health(missing_group)


# One definition, several service revisions


def test_a_moved_tag_makes_another_revision_of_the_same_definition(harness: Harness) -> None:
    first = harness.release("latest")
    harness.run(first)
    original = harness.wait(is_settled_on(first))
    harness.push("latest")
    harness.services.update(harness.settings, force_new_deployment=True)
    after = harness.wait(lambda view: is_settled_on(first)(view) and view.primary.id != original.primary.id)
    was, now = (view.images_of(view.primary.revision_arn)["app"] for view in (original, after))
    assert was != now
    assert after.newest is not None
    assert after.newest.source is not None
    assert after.images_of(after.newest.source.revision_arn)["app"] == was
    assert harness.services.task_images(harness.settings, first, after.primary.id) == {"app": now}
    assert harness.services.task_images(harness.settings, first, original.primary.id) == {}


def test_omitted_members_of_a_deployment_configuration_are_kept(harness: Harness) -> None:
    first = harness.release("v1")
    harness.run(first)
    original = harness.wait(is_settled_on(first)).deployment_configuration
    harness.services.update(harness.settings, deployment_configuration={"deploymentCircuitBreaker": QUIET_BREAKER})
    after = harness.services.describe(harness.settings).deployment_configuration
    assert after == {
        **original,
        "deploymentCircuitBreaker": {**original["deploymentCircuitBreaker"], "rollback": False},
    }


def test_ecs_returns_to_the_former_revision_of_the_same_definition(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake's tasks behave by definition: there `tests/unit/identity/test_service_revisions.py` arranges it."""
    harness = LocalCloudHarness(cloud, monkeypatch)
    first = harness.release("latest")
    harness.run(first)
    good = harness.wait(is_settled_on(first))
    harness.web.push("latest", {"kind": "crash", "after_seconds": 0.2})
    harness.services.update(harness.settings, force_new_deployment=True)
    back = harness.wait(  # two describe calls: the first may answer from before
        lambda view: newest_status(view) == "ROLLBACK_SUCCESSFUL" and view.primary.rollout_state == "COMPLETED"
    )
    assert back.newest is not None
    assert back.primary.revision_arn == good.primary.revision_arn == back.newest.rollback_revision_arn
    bad = back.images_of(back.newest.target_revision_arn)
    assert bad != back.images_of(back.primary.revision_arn) == good.images_of(good.primary.revision_arn)
    harness.web.delete()


def test_a_revision_without_version_consistency_has_digests_in_its_tasks_only(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = LocalCloudHarness(cloud, monkeypatch)
    harness.web.push("latest", {"kind": "healthy"})
    first = harness.web.register("latest", versionConsistency="disabled")
    harness.run(first)
    view = harness.wait(is_settled_on(first))
    assert view.images_of(view.primary.revision_arn) == {}
    images = harness.services.task_images(harness.settings, first, None)
    assert images.keys() == {"app"}
    assert "@sha256:" in images["app"]
    harness.web.delete()


def test_a_deployment_with_early_success_criteria_completes_before_the_service_is_stable(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = LocalCloudHarness(cloud, monkeypatch)
    first = harness.release("v1")
    early = {"enable": True, "healthyPercent": 50, "sourceServiceRevisionCleanup": "DEFERRED"}
    configuration = {"earlySuccessCriteria": early, "minimumHealthyPercent": 50, "maximumPercent": 125}
    harness.web.start_and_wait(first, desired=4, deploymentConfiguration=configuration)
    harness.wait(is_settled_on(first))
    second = harness.release("v2")
    harness.web.drain_for(3000)
    harness.services.update(harness.settings, definition_arn=second)

    def is_completed(view: ServiceView) -> bool:
        return view.primary.definition_arn == second and view.primary.rollout_state == "COMPLETED"

    completed = harness.wait(lambda view: is_completed(view) and bool(view.why_not_stable))
    assert newest_status(completed) == "SUCCESSFUL"
    harness.web.drain_for(0)
    assert harness.wait(lambda view: not view.why_not_stable).primary.definition_arn == second
    harness.web.delete()


def test_the_tasks_of_a_service_are_listed_with_their_deployment(harness: Harness) -> None:
    first = harness.release("v1")
    harness.run(first)
    view = harness.wait(is_settled_on(first))
    running = [task for task in harness.services.service_tasks(harness.settings) if not task.is_stopped]
    assert len(running) == 2
    assert {(task.definition_arn, task.deployment_id) for task in running} == {(first, view.primary.id)}
    assert failures_since(view.primary.created_at, running, view.primary, harness.settings.container) == {}


def test_a_task_that_crashed_is_listed_with_its_exit_code(harness: Harness) -> None:
    first, second = harness.release("v1"), harness.release("v2", "crashing")
    harness.run(first)
    harness.wait(is_settled_on(first))
    harness.services.update(harness.settings, definition_arn=second)

    def crashed(view: ServiceView) -> dict[str, str]:
        tasks = harness.services.service_tasks(harness.settings)
        began_at = view.primary.created_at
        return failures_since(began_at, tasks, view.primary, harness.settings.container)

    def has_crashed(view: ServiceView) -> bool:
        return view.primary.definition_arn == second and bool(crashed(view))

    view = harness.wait(has_crashed)
    assert all("exit code 1 of container app" in failure for failure in crashed(view).values())


# Refusals of ECS


def others(settings: ServiceSettings) -> list[ServiceSettings]:
    """Return the same service in a missing cluster, and a missing service in its cluster."""
    return [settings.model_copy(update={name: "not-there"}) for name in ("cluster", "ecs_service")]


def test_a_missing_service_or_cluster_is_refused_and_changes_nothing(harness: Harness) -> None:
    first = harness.release("v1")
    harness.run(first)
    original = harness.wait(is_settled_on(first))
    for other in others(harness.settings):
        with pytest.raises(UnsupportedService, match="not-there"):
            harness.services.describe(other)
        with pytest.raises(CallRefused) as error:
            harness.services.update(other, desired_count=1)
        assert error.value.kind is RefusalKind.NOT_FOUND
    assert harness.services.describe(harness.settings).desired_count == original.desired_count
    assert not harness.services.has_container_insights("not-there")


@pytest.mark.parametrize(
    "changes",
    [
        {"definition_arn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/no-such-family:1"},
        {"deployment_configuration": {"noSuchSetting": 1}},
        {"desired_count": "two"},
    ],
    ids=["definition", "setting", "type"],
)
def test_an_invalid_update_is_refused_and_changes_nothing(harness: Harness, changes: dict[str, Any]) -> None:
    first = harness.release("v1")
    harness.run(first)
    original = harness.wait(is_settled_on(first))
    with pytest.raises(CallRefused):
        harness.services.update(harness.settings, **changes)
    after = harness.services.describe(harness.settings)
    assert (after.desired_count, after.primary, after.deployment_configuration) == (
        original.desired_count,
        original.primary,
        original.deployment_configuration,
    )


@pytest.mark.parametrize(
    "definition",
    [{"containerDefinitions": "app"}, {"containerDefinitions": [{"name": 7}]}, {}],
    ids=["containers", "name", "nothing"],
)
def test_a_definition_of_the_wrong_shape_is_not_registered(harness: Harness, definition: dict[str, Any]) -> None:
    family = f"web-{uuid.uuid4().hex[:8]}"
    with pytest.raises(CallRefused):
        harness.services.register(definition, family, "f" * 64)
    assert harness.services.definition(family) is None


def test_a_definition_with_an_unknown_member_is_registered(harness: Harness) -> None:
    raw = harness.services.definition(harness.release("v1"))
    assert raw is not None
    assert raw["tags"] == []
    arn = harness.services.register({**raw, "of_a_later_api": 1}, "web-last-known-good", "f" * 64, {"team": "web"})
    registered = harness.services.definition(arn)
    assert registered is not None
    tags = {tag["key"]: tag["value"] for tag in registered["tags"]}
    assert tags == {RELEASE_TAG: "f" * 64, "team": "web"}


@pytest.mark.parametrize(
    ("family", "containers", "release"),
    [
        ("not a family", [{"name": "app", "image": "web:1"}], "f" * 64),
        ("f" * 256, [{"name": "app", "image": "web:1"}], "f" * 64),
        ("web", [], "f" * 64),
        ("web", [{"name": "app"}], "f" * 64),
        ("web", [{"name": "app", "image": "web:1", "essential": False}], "f" * 64),
        ("web", [{"name": "app", "image": "web:1"}], "no <tag>"),
    ],
)
def test_the_fake_refuses_a_definition_as_ecs_does(family: str, containers: list[dict[str, Any]], release: str) -> None:
    """moto registers all of them (ECS API reference, RegisterTaskDefinition, ContainerDefinition and Tag)."""
    with pytest.raises(CallRefused, match="RegisterTaskDefinition"):
        FakeHarness().services.register({"containerDefinitions": containers}, family, release)


def test_the_fake_refuses_a_negative_count_as_ecs_does() -> None:
    """moto accepts a negative count."""
    harness = FakeHarness()
    harness.run(harness.release("v1"))
    with pytest.raises(CallRefused, match="desiredCount"):
        harness.services.update(harness.settings, desired_count=-1)


def test_the_fake_refuses_to_list_tasks_of_a_missing_service_as_ecs_does() -> None:
    """moto lists no task for a missing service; ECS answers ServiceNotFoundException (API reference, ListTasks)."""
    harness = FakeHarness()
    harness.run(harness.release("v1"))
    for other in others(harness.settings):
        with pytest.raises(CallRefused) as error:
            harness.services.unstopped_tasks(other)
        assert error.value.kind is RefusalKind.NOT_FOUND


def test_two_services_change_independently_and_share_the_definitions() -> None:
    web = FakeServices()
    worker = FakeServices(ecs_service="worker", beside=web)
    both, of_web = FakeWriters({"web": web, "worker": worker}), FakeHarness.settings
    of_worker = of_web.model_copy(update={"ecs_service": "worker"})
    for service in (web, worker):
        service.run(service.register_release({"containerDefinitions": [{"name": "app", "image": "web:1"}]}, "web"))
    both.update(of_worker, desired_count=5)
    assert both.desired_counts() == {"web": 2, "worker": 5}
    both.update(of_worker, definition_arn=both.describe(of_web).primary.definition_arn)
    newest = both.describe(of_worker).newest
    assert newest is not None
    both.stop_deployment(newest.arn)
    assert newest_status(both.describe(of_worker)) == "ROLLBACK_REQUESTED"
    assert newest_status(both.describe(of_web)) == "SUCCESSFUL"
    with pytest.raises(UnsupportedService):
        both.describe(of_web.model_copy(update={"ecs_service": "a-third"}))


def test_the_other_target_groups_of_the_load_balancer_are_listed(harness: Harness) -> None:
    first = harness.release("v1")
    harness.run(first)
    (group,) = harness.wait(is_settled_on(first)).target_groups
    assert harness.targets.sibling_target_groups((group,)) == ()
    assert harness.targets.sibling_target_groups(()) == ()
    other = harness.share_balancer()
    assert harness.targets.sibling_target_groups((group,)) == (other,)


def test_health_checks_are_returned_for_existing_target_groups_only(harness: Harness) -> None:
    first = harness.release("v1")
    harness.run(first)
    (group,) = harness.wait(is_settled_on(first)).target_groups
    assert harness.targets.health_checks((group,)).keys() == {group}
    assert harness.targets.health_checks(()) == {}
    missing_group = group.replace("targetgroup/", "targetgroup/gone-")
    assert harness.targets.health_checks((missing_group, group)).keys() == {group}
    assert harness.targets.has_load_balancer(group)
    with pytest.raises(CallRefused, match="DescribeTargetGroups") as error:
        harness.targets.has_load_balancer(missing_group)
    assert error.value.kind is RefusalKind.NOT_FOUND


def test_the_shape_of_a_service_has_the_ports_and_network_that_it_requires(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness_on_cloud = LocalCloudHarness(cloud, monkeypatch)
    first = harness_on_cloud.release("v1")
    harness_on_cloud.run(first)
    view = harness_on_cloud.wait(is_settled_on(first))
    assert (view.shape.ports, view.shape.uses_fargate, view.shape.has_network) == ((("app", 8080),), True, True)
    definition = harness_on_cloud.services.definition(first)
    assert definition is not None
    assert check_fits_service(definition, view.shape).verdict is Verdict.PASS
    vpc = harness_on_cloud.web.elbv2.describe_target_groups(TargetGroupArns=[harness_on_cloud.web.target_group])[
        "TargetGroups"
    ][0]["VpcId"]
    spare = harness_on_cloud.web.elbv2.create_target_group(
        Name=f"{harness_on_cloud.web.name}-spare", Protocol="HTTP", Port=80, VpcId=vpc
    )
    assert not harness_on_cloud.targets.has_load_balancer(spare["TargetGroups"][0]["TargetGroupArn"])
    harness_on_cloud.web.delete()
