"""The demo environment: the embedded cloud, our stacks deployed in it, and traffic."""

import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from local_cloud.deployment.deploy import deploy_assembly
from local_cloud.deployment.server import LocalCloud
from local_cloud.elb import load_balancer
from local_cloud.elb.load import LoadGenerator
from local_cloud.processes import owned_folders
from local_cloud.processes.signals import defer_signals
from rollback.domain.settings.environment import ServiceSettings
from rollback.ports.all_ports import AllPorts
from rollback.resources.aws.ecs_service import ScalableTarget
from rollback_cli.demo.pipeline import Pipeline
from rollback_cli.demo.profile import (
    AUTOSCALING,
    DATABASE_PLACEHOLDERS,
    ENVIRONMENT,
    SCALE,
    SECRET_PLACEHOLDERS,
    WITHOUT_APPROVALS,
    overrides,
)
from rollback_cli.demo.synthesis import APPLICATION_URL_PLACEHOLDER, synthesise
from rollback_cli.demo.timeline.pager import Page, Pager
from rollback_cli.demo.timeline.timeline import Timeline
from rollback_cli.deployed_stack import DeployedStack, from_outputs, stack_name

if TYPE_CHECKING:
    from rollback_cli.demo.database.neon_project import DemoDatabase

_PATHS = ("/api/status", "/api/ping")
_REQUESTS_PER_SECOND = 25.0
_MAX_PENDING = 32


class DemoEnvironment(Pipeline):
    """Starts everything on entering the context manager, and stops it on leaving; ships releases by a pipeline."""

    def __init__(
        self,
        timeline: Timeline,
        *,
        port: int = 0,
        policy: Mapping[str, Any] | None = None,
        with_database: bool = False,
        approval: Mapping[str, Any] = WITHOUT_APPROVALS,
        release_watch: Mapping[str, Any] | None = None,
        alarms: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare an environment; nothing is started yet.

        Args:
            timeline: timeline that reports the progress of the environment.
            port: port of the embedded cloud; 0: a free port.
            policy: settings that replace those of the profile.
            with_database: whether the service has a Neon database.
            approval: settings of approvals.
            release_watch: settings of the watch over fresh releases that replace those of the profile.
            alarms: settings of alarms that replace those of the profile.
        """
        self._timeline = timeline
        self._policy = policy or {}
        self._with_database = with_database
        self._approval, self._release_watch = approval, release_watch
        self._alarms = alarms
        self.database: DemoDatabase | None = None
        self._folder: Path
        self._cleanup = ExitStack()
        self.cloud = LocalCloud(port=port, scale=SCALE)
        self.base_url = ""
        self.deployed: DeployedStack
        self.ports: AllPorts
        self._pager: Pager
        self.load: LoadGenerator | None = None

    def __enter__(self) -> Self:
        try:
            self._start_all()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean_up()

    def _clean_up(self) -> None:
        with defer_signals():
            self._cleanup.close()

    def _start_all(self) -> None:
        self._folder = owned_folders.make("rollback-demo")
        self._cleanup.callback(owned_folders.remove, self._folder)
        self._start_cloud()
        self._synthesise(self._folder)
        self._deploy(self._folder)

    def _start_cloud(self) -> None:
        self._cleanup.callback(self.cloud.stop)
        self.cloud.start()
        os.environ.update(self.cloud.environment())  # boto3 in this process calls the embedded cloud
        self._timeline.say(f"embedded cloud on {self.cloud.endpoint}, waits {SCALE:g} times shorter than AWS's", "head")
        if self._with_database:
            from rollback_cli.demo.database.neon_project import DemoDatabase  # noqa: PLC0415 - imports psycopg

            self.database = DemoDatabase(self.cloud)
            self._timeline.say("Neon project on real Postgres started; its branch `main` is protected")
        port = _free_port()
        self.base_url = f"http://localhost:{port}"
        load_balancer.listen_on(port)

    def _synthesise(self, out: Path) -> None:
        """Write the cloud assembly into a folder, with the addresses of this run."""
        database, secrets = (DATABASE_PLACEHOLDERS, SECRET_PLACEHOLDERS) if self.database else ({}, {})
        replacements = {
            APPLICATION_URL_PLACEHOLDER: self.base_url,
            **(self.database.placeholder_values() if self.database else {}),
        }
        settings = overrides(
            APPLICATION_URL_PLACEHOLDER,
            self._policy,
            database,
            secrets,
            self._approval,
            self._alarms,
            self._release_watch,
        )
        synthesise(out, ENVIRONMENT, settings, replacements)
        self._timeline.say("stacks synthesised, functions bundled for this machine")

    def _deploy(self, assembly: Path) -> None:
        outputs = deploy_assembly(self.cloud, assembly)
        name = stack_name(ENVIRONMENT)
        self._attach(from_outputs(outputs[name], name))
        self._timeline.say(f"CloudFormation has deployed {', '.join(outputs)}")

    def _attach(self, deployed: DeployedStack) -> None:
        """Use the deployed stacks."""
        self.deployed = deployed
        self.ports = deployed.ports()  # made once, since making the clients takes a while
        self._pager = Pager(self.cloud.client("sns"), self.cloud.client("sqs"), deployed.critical_topic_arn)

    def client(self, service: str) -> Any:
        """Return a boto3 client with the administrator's credentials."""
        return self.cloud.client(service)

    def pages(self) -> list[Page]:
        """Return the pages that the operator on call has received so far."""
        return self._pager.pages()

    @property
    def service(self) -> ServiceSettings:
        """Settings of the only service."""
        return self.deployed.settings.services[0]

    def prepare_database(self, version: str, migrations: int) -> None:
        """Record a checkpoint and migrate the database, as a pipeline does before it ships a release.

        Args:
            version: version of the release.
            migrations: number of the repository's migrations that the release has.
        """
        from rollback_cli.demo.database.migrations import check_out  # noqa: PLC0415 - imports psycopg

        folder = check_out(self._folder / f"repository-{version}", migrations)
        self.checkpoint(version, folder)
        self._timeline.say(f"pipeline: checkpoint before {version} recorded", "act")
        for tag in self.migrate(folder):
            self._timeline.say(f"pipeline: migration {tag} applied", "act")

    def start_load(
        self, requests_per_second: float = _REQUESTS_PER_SECOND, max_pending: int = _MAX_PENDING
    ) -> LoadGenerator:
        """Start the traffic; it goes on until the environment stops."""
        self.load = LoadGenerator(self.base_url, requests_per_second, _PATHS, max_pending=max_pending)
        self._cleanup.callback(self.load.stop)
        self.load.start()
        return self.load

    def register_autoscaling(self) -> None:
        """Register the service for autoscaling, with scheduled scaling suspended; a rollback must restore that."""
        self.client("application-autoscaling").register_scalable_target(
            **self._scalable_target_id(),
            MinCapacity=AUTOSCALING.min_capacity,
            MaxCapacity=AUTOSCALING.max_capacity,
            SuspendedState=AUTOSCALING.suspended,
        )

    def describe_autoscaling(self) -> ScalableTarget | None:
        """Return the scalable target as the product's own adapter reads it."""
        return self.ports.scaling.describe(self.service)

    def _scalable_target_id(self) -> dict[str, str]:
        return {
            "ServiceNamespace": "ecs",
            "ScalableDimension": "ecs:service:DesiredCount",
            "ResourceId": f"service/{self.service.cluster}/{self.service.ecs_service}",
        }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
