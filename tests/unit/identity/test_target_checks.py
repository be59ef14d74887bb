"""Checks of each target in advance: resources that a task definition refers to, and the shape of the service."""

from typing import Any

import pytest
from fakes.aws.autoscaling import FakeScaling
from fakes.aws.images import FakeReferences
from fakes.aws.secrets import FakeSecrets
from simulations.service import FAMILY, PROMOTED, Simulation
from support.builders import SERVICE, definition, release

from rollback.adapters.aws.ecs.parse import require_supported_service
from rollback.canonical_json import sha256_of
from rollback.check import Check, Verdict
from rollback.domain.releases.release import fingerprint, normalised_definition
from rollback.domain.standing_plan import StandingPlan, StandingTarget
from rollback.domain.target_readiness import NOT_KNOWN
from rollback.errors import CallRefused, UnsupportedService
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.aws.account_and_region import AccountAndRegion
from rollback.resources.aws.definition_references import Reference, ReferenceKind, references
from rollback.resources.aws.ecs_service import ScalableTarget
from rollback.resources.aws.service_shape import ServiceShape, arn_format, check_fits_service, shape_of

ROLE = "arn:aws:iam::123456789012:role/task"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:web-AbCdEf"
PARAMETER = "arn:aws:ssm:us-east-1:123456789012:parameter/web/url"
FILE = "arn:aws:s3:::settings/web.env"
LOGS = {"awslogs-group": "/ecs/web", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "web"}


def with_container(**members: Any) -> dict[str, Any]:
    task_definition = definition("v1")
    task_definition["containerDefinitions"][0] |= members
    return task_definition


@pytest.mark.parametrize(
    ("task_definition", "expected_references"),
    [
        (
            definition("v1", taskRoleArn=ROLE, executionRoleArn="execution"),
            {(ReferenceKind.ROLE, ROLE), (ReferenceKind.ROLE, "execution")},
        ),
        (with_container(secrets=[{"name": "A", "valueFrom": SECRET}]), {(ReferenceKind.SECRET, SECRET)}),
        (with_container(secrets=[{"name": "A", "valueFrom": PARAMETER}]), {(ReferenceKind.PARAMETER, PARAMETER)}),
        (
            with_container(repositoryCredentials={"credentialsParameter": "dockerhub"}),
            {(ReferenceKind.SECRET, "dockerhub")},
        ),
        (with_container(environmentFiles=[{"type": "s3", "value": FILE}]), {(ReferenceKind.FILE, FILE)}),
        (
            with_container(
                firelensConfiguration={
                    "type": "fluentbit",
                    "options": {"config-file-type": "s3", "config-file-value": FILE},
                }
            ),
            {(ReferenceKind.FILE, FILE)},
        ),
        (
            with_container(logConfiguration={"logDriver": "awslogs", "options": LOGS}),
            {(ReferenceKind.LOG_GROUP, "/ecs/web")},
        ),
        (
            with_container(
                logConfiguration={"logDriver": "awslogs", "options": LOGS | {"awslogs-create-group": "true"}}
            ),
            set(),
        ),
        (
            with_container(
                logConfiguration={"logDriver": "splunk", "secretOptions": [{"name": "token", "valueFrom": SECRET}]}
            ),
            {(ReferenceKind.SECRET, SECRET)},
        ),
        (
            definition("v1", volumes=[{"name": "data", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]),
            {(ReferenceKind.OTHER, "EFS file system fs-1")},
        ),
    ],
)
def test_every_resource_that_a_definition_refers_to_is_found(
    task_definition: dict[str, Any], expected_references: set[tuple[ReferenceKind, str]]
) -> None:
    assert {(reference.kind, reference.value) for reference in references(task_definition)} == expected_references


def test_a_log_group_is_looked_up_in_the_region_of_its_log_option() -> None:
    task_definition = with_container(logConfiguration={"logDriver": "awslogs", "options": LOGS})
    assert references(task_definition) == (Reference(ReferenceKind.LOG_GROUP, "/ecs/web", "eu-west-1"),)


# Checks of each target


def simulation_with_target(task_definition: dict[str, Any], **parts: Any) -> Simulation:
    """Build a simulation in which v1 with this definition is promoted, and v2 runs."""
    simulation = Simulation()
    simulation.replace(**parts)
    arn = simulation.services.register_release(task_definition, FAMILY)
    normalised = normalised_definition(task_definition, {})
    stored_release = release(
        "v1",
        state=PROMOTED,
        hours_ago=48,
        definition_arn=arn,
        fingerprint=fingerprint(task_definition, {}),
        definition_sha256=sha256_of(normalised),
    )
    simulation.ledger.record(stored_release, normalised)
    simulation.services.run(arn)
    simulation.ship("v2")
    return simulation


def target_of(plan: StandingPlan) -> StandingTarget:
    (target,) = plan.targets
    return target


def find_check(target: StandingTarget, name: str) -> Check:
    return next(check for check in target.checks if check.name == name)


def definition_with_references() -> dict[str, Any]:
    task_definition = definition("v1", taskRoleArn=ROLE)
    task_definition["containerDefinitions"][0] |= {
        "secrets": [{"name": "A", "valueFrom": SECRET}],
        "environmentFiles": [{"type": "s3", "value": FILE}],
        "logConfiguration": {"logDriver": "awslogs", "options": LOGS},
    }
    return task_definition


def existing_references() -> FakeReferences:
    fake_references = FakeReferences()
    fake_references.roles.add(ROLE)
    fake_references.log_groups.add(("eu-west-1", "/ecs/web"))
    fake_references.files.add(FILE)
    return fake_references


def test_a_target_is_ready_if_all_its_referenced_resources_exist() -> None:
    target = target_of(
        prepare_standing_plan(
            SERVICE, simulation_with_target(definition_with_references(), references=existing_references()).ports
        )
    )
    assert target.is_ready is True
    assert target.why_not_ready == ""


@pytest.mark.parametrize(
    ("remove_resource", "name", "missing_resource"),
    [
        (lambda fake_references, secrets: fake_references.roles.clear(), "roles-exist", ROLE),
        (
            lambda fake_references, secrets: fake_references.log_groups.clear(),
            "log-groups-exist",
            "/ecs/web in eu-west-1",
        ),
        (lambda fake_references, secrets: fake_references.files.clear(), "files-exist", FILE),
        (lambda fake_references, secrets: secrets.missing.add(SECRET), "secrets-exist", SECRET),
    ],
)
def test_a_target_is_not_ready_if_a_referenced_resource_is_missing_and_the_check_names_it(
    remove_resource: Any, name: str, missing_resource: str
) -> None:
    fake_references, secrets = existing_references(), FakeSecrets()
    remove_resource(fake_references, secrets)
    plan = prepare_standing_plan(
        SERVICE, simulation_with_target(definition_with_references(), references=fake_references, secrets=secrets).ports
    )
    target = target_of(plan)
    assert target.is_ready is False
    assert missing_resource in find_check(target, name).reason
    assert not plan.is_ready


def test_a_resource_that_may_not_be_read_is_reported_as_unknown() -> None:
    fake_references = existing_references()
    fake_references.hidden.add(ROLE)
    target = target_of(
        prepare_standing_plan(
            SERVICE, simulation_with_target(definition_with_references(), references=fake_references).ports
        )
    )
    assert find_check(target, "roles-exist").verdict is Verdict.WARN
    assert find_check(target, "roles-exist").reason == f"can't be looked up: {ROLE}"
    assert target.is_ready is True


def test_a_role_of_another_account_is_not_looked_up_in_our_account() -> None:
    foreign_role = "arn:aws:iam::210987654321:role/task"
    simulation = simulation_with_target(
        definition("v1", taskRoleArn=foreign_role), account_and_region=AccountAndRegion("123456789012", "eu-west-1")
    )
    target = target_of(prepare_standing_plan(SERVICE, simulation.ports))
    assert find_check(target, "roles-exist").reason == f"can't be looked up: {foreign_role}"


@pytest.mark.parametrize(("partition", "region"), [("aws", "eu-west-1"), ("aws-cn", "cn-north-1")])
def test_a_secret_by_name_belongs_to_our_own_account(partition: str, region: str) -> None:
    secrets = FakeSecrets()
    secrets.missing.add(f"arn:{partition}:secretsmanager:{region}:123456789012:secret:dockerhub")
    task_definition = with_container(repositoryCredentials={"credentialsParameter": "dockerhub"})
    account_and_region = AccountAndRegion.of_arn(f"arn:{partition}:sns:{region}:123456789012:pages")
    simulation = simulation_with_target(task_definition, secrets=secrets, account_and_region=account_and_region)
    assert target_of(prepare_standing_plan(SERVICE, simulation.ports)).is_ready is False


def test_a_check_without_an_answer_of_iam_is_unknown_and_the_standing_plan_is_still_computed() -> None:
    class Silent(FakeReferences):
        def role_exists(self, role: str) -> bool | None:
            raise CallRefused("iam: throttled for good")

    target = target_of(
        prepare_standing_plan(SERVICE, simulation_with_target(definition_with_references(), references=Silent()).ports)
    )
    assert NOT_KNOWN in find_check(target, "roles-exist").evidence


def test_file_systems_are_reported_as_not_looked_up() -> None:
    volumes = [{"name": "data", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]
    target = target_of(prepare_standing_plan(SERVICE, simulation_with_target(definition("v1", volumes=volumes)).ports))
    check = find_check(target, "other-references-exist")
    assert (check.verdict, check.reason) == (Verdict.SKIPPED, "not checked: EFS file system fs-1")
    assert target.is_ready is True


# The shape of the service


def service_answer(**members: Any) -> dict[str, Any]:
    """Build a service as DescribeServices returns it."""
    return {
        "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["s"]}},
        "deployments": [{"status": "PRIMARY"}],
        **members,
    }


def web_definition(**members: Any) -> dict[str, Any]:
    task_definition = definition("v1", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], **members)
    task_definition["containerDefinitions"][0]["portMappings"] = [{"containerPort": 8080, "name": "http"}]
    return task_definition


BALANCED = {"loadBalancers": [{"targetGroupArn": "arn", "containerName": "api", "containerPort": 8080}]}


def service_with_primary(**members: Any) -> dict[str, Any]:
    return {
        "deployments": [
            {"status": "ACTIVE", "volumeConfigurations": [{"name": "old"}]},
            {"status": "PRIMARY", **members},
        ]
    }


@pytest.mark.parametrize(
    ("service", "task_definition", "problem"),
    [
        (service_answer(**BALANCED), web_definition(), ""),
        (
            service_answer(loadBalancers=[{"containerName": "web", "containerPort": 8080}]),
            web_definition(),
            "container web",
        ),
        (
            service_answer(loadBalancers=[{"containerName": "api", "containerPort": 80}]),
            web_definition(),
            "port 80 of api",
        ),
        (
            service_answer(serviceRegistries=[{"registryArn": "arn", "containerName": "dns"}]),
            web_definition(),
            "container dns",
        ),
        (
            service_answer(
                **service_with_primary(
                    serviceConnectConfiguration={"enabled": True, "services": [{"portName": "grpc"}]}
                )
            ),
            web_definition(),
            "port mapping grpc",
        ),
        (
            service_answer(
                **service_with_primary(
                    serviceConnectConfiguration={"enabled": True, "services": [{"portName": "http"}]}
                )
            ),
            web_definition(),
            "",
        ),
        (
            service_answer(
                **service_with_primary(
                    serviceConnectConfiguration={"enabled": False, "services": [{"portName": "grpc"}]}
                )
            ),
            web_definition(),
            "",
        ),
        (
            service_answer(**service_with_primary(vpcLatticeConfigurations=[{"portName": "grpc"}])),
            web_definition(),
            "port mapping grpc",
        ),
        (
            service_answer(**service_with_primary(volumeConfigurations=[{"name": "data"}])),
            web_definition(),
            "configures volume data at launch",
        ),
        (
            service_answer(**service_with_primary(volumeConfigurations=[{"name": "data"}])),
            web_definition(volumes=[{"name": "data", "configuredAtLaunch": True}]),
            "",
        ),
        (
            service_answer(),
            web_definition(volumes=[{"name": "data", "configuredAtLaunch": True}]),
            "and the service does not configure it",
        ),
        (service_answer(), {**web_definition(), "networkMode": "bridge"}, "network mode is bridge"),
        (service_answer(networkConfiguration={}), web_definition(), "the service lacks a network configuration"),
        (service_answer(), {**web_definition(), "requiresCompatibilities": ["EC2"]}, "runs on Fargate"),
        (
            service_answer(launchType=None, capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT"}]),
            {**web_definition(), "requiresCompatibilities": ["EC2"]},
            "runs on Fargate",
        ),
    ],
)
def test_a_definition_that_the_service_would_refuse_is_reported_in_advance(
    service: dict[str, Any], task_definition: dict[str, Any], problem: str
) -> None:
    check = check_fits_service(task_definition, shape_of(service))
    assert check.verdict is (Verdict.FAIL if problem else Verdict.PASS), check.reason
    assert problem in check.reason


def test_a_target_that_lacks_the_port_of_the_load_balancer_is_not_ready() -> None:
    simulation = simulation_with_target(definition("v1"))
    simulation.services.shape = ServiceShape(ports=(("api", 9090),))
    target = target_of(prepare_standing_plan(SERVICE, simulation.ports))
    assert target.is_ready is False
    assert "port 9090 of api" in target.why_not_ready
    with pytest.raises(CallRefused, match="port 9090"):
        simulation.services.update(simulation.service_settings, definition_arn=target.definition_arn)


def test_a_daemon_service_is_refused_with_a_list_of_supported_services() -> None:
    with pytest.raises(UnsupportedService, match="only REPLICA is supported"):
        require_supported_service({"services": [{"status": "ACTIVE", "schedulingStrategy": "DAEMON"}]}, "c/s")


@pytest.mark.parametrize(
    ("arn", "verdict"),
    [
        ("arn:aws:ecs:eu-west-1:123456789012:service/cluster/web", Verdict.PASS),
        ("arn:aws:ecs:eu-west-1:123456789012:service/web", Verdict.WARN),
    ],
)
def test_a_service_arn_without_its_cluster_is_reported(arn: str, verdict: Verdict) -> None:
    assert arn_format(arn).verdict is verdict


def test_a_predictive_scaling_policy_is_reported_in_advance() -> None:
    simulation = simulation_with_target(definition("v1"))
    scaling = FakeScaling(simulation.services, ScalableTarget(min_capacity=1, max_capacity=2, suspended={}))
    scaling.predictive = ("by-forecast",)
    simulation.replace(scaling=scaling)
    check = next(
        check
        for check in prepare_standing_plan(SERVICE, simulation.ports).readiness
        if check.name == "nothing-starts-tasks"
    )
    assert check.verdict is Verdict.WARN
    assert "by-forecast" in check.reason
