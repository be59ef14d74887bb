"""An ECS task: PROVISIONING, PENDING (pull), RUNNING as a real process, DEACTIVATING (drain), STOPPED."""

from __future__ import annotations

import subprocess
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any

from local_cloud import clock
from local_cloud.ecr import images
from local_cloud.ecs import process, secrets, shared, task_shape
from local_cloud.ecs.task_log import TaskLog
from local_cloud.elb import target_health
from local_cloud.processes import child_processes

PROVISIONING_SECONDS = 2.0  # simulated; Fargate takes longer
STABLE_SECONDS = 5.0  # simulated; how long a task without a load balancer must run to count as started
_LAST_LINES_SECONDS = 2.0  # real; the last lines of a process reach the log before the task is STOPPED


def simulated_time() -> float:
    """Return simulated seconds on a monotonic clock."""
    return time.monotonic() / clock.real_seconds(1.0)


@dataclass(eq=False)
class Task:
    """One task. The scheduler calls ``advance`` often and ``stop`` once.

    Attributes:
        service: moto's Service, or a `Placement` for a task of RunTask.
        definition: moto's TaskDefinition.
        started_by: the id of a deployment, or RunTask's `startedBy`.
        pinned_images: digest by container name, as the service revision resolved them.
        revision_age_seconds: simulated, at the task's creation.
        overrides: RunTask's. A container whose command is overridden runs that command in place of its server.
    """

    service: Any
    definition: Any
    started_by: str
    pinned_images: dict[str, str]
    revision_age_seconds: float = 0.0
    overrides: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    status: str = "PROVISIONING"
    stop_code: str | None = None
    stopped_reason: str | None = None
    exit_code: int | None = None
    failed: bool = False
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    port: int | None = None
    targets: list[target_health.Target] = field(default_factory=list)
    _since: float = field(default_factory=simulated_time)
    _process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = None

    def __post_init__(self) -> None:
        number = uuid.UUID(self.id).int
        self.private_address = f"10.0.{number % 250 + 1}.{number // 250 % 250 + 4}"
        prefix, _, _ = str(self.service.cluster_arn).rpartition(":")
        is_long = self.service._backend.enable_long_arn_for_name(name="taskLongArnFormat")
        self.arn = f"{prefix}:task/{self.service.cluster_name}/{self.id}" if is_long else f"{prefix}:task/{self.id}"

    @property
    def containers(self) -> list[dict[str, Any]]:
        """The container definitions."""
        return list(self.definition.container_definitions)

    @property
    def main_container(self) -> dict[str, Any]:
        """The container that becomes a process: the one behind the load balancer, else the first essential one."""
        balanced = {entry.get("containerName") for entry in self.service.load_balancers}
        return next(
            (c for c in self.containers if c["name"] in balanced),
            next((c for c in self.containers if c.get("essential", True)), self.containers[0]),
        )

    @property
    def command(self) -> list[str]:
        """The command that replaces the server; empty unless overridden."""
        return list(self._override(self.main_container["name"]).get("command") or [])

    @property
    def execution_role_arn(self) -> str | None:
        """The role that reads the secrets (and on AWS also pulls the image)."""
        return self.overrides.get("executionRoleArn") or getattr(self.definition, "execution_role_arn", None)

    @property
    def is_live(self) -> bool:
        """Whether the task counts towards the desired count."""
        return self.status in {"PROVISIONING", "PENDING", "RUNNING"}

    @property
    def running_seconds(self) -> float:
        """Simulated seconds since the task reached RUNNING."""
        return simulated_time() - self._since if self.status == "RUNNING" else 0.0

    @property
    def is_ready(self) -> bool:
        """Whether the task runs and passes the health checks of all target groups; without any, has run for a while."""
        if self.status != "RUNNING":
            return False
        if self.targets:
            return all(target.state == "healthy" for target in self.targets)
        return self.running_seconds >= STABLE_SECONDS

    @property
    def unhealthy_target(self) -> target_health.Target | None:
        """A target of this task that fails its health checks; None if there is none."""
        return next((target for target in self.targets if target.state == "unhealthy"), None)

    def advance(self) -> None:
        """Take the step that is due, if any."""
        elapsed = simulated_time() - self._since
        if self.status == "PROVISIONING" and elapsed >= PROVISIONING_SECONDS:
            self._enter("PENDING")
            self._pull_and_start()
        elif self.status == "PENDING" and self._is_up():
            self.started_at = datetime.now(UTC)
            self._enter("RUNNING")
            self._register()
        elif self.status == "DEACTIVATING" and elapsed >= self._drain_seconds():
            self._terminate()
        if self.is_live and self._process is not None and self._process.poll() is not None:
            self._fail("EssentialContainerExited", "Essential container in task exited")

    def stop(self, reason: str, *, code: str = "ServiceSchedulerInitiated", failed: bool = False) -> None:
        """Deregister, let requests drain for the deregistration delay, then end the process."""
        if not self.is_live:
            return
        self.failed = self.failed or failed
        self.stop_code, self.stopped_reason = code, reason
        for target in self.targets:
            target.drain()
        self._enter("DEACTIVATING")
        if not self.targets:
            self._terminate()

    def kill(self) -> None:
        """End the process at once, without draining."""
        if self.status != "STOPPED":
            self._terminate()

    def _enter(self, status: str) -> None:
        self.status, self._since = status, simulated_time()
        if status == "STOPPED":
            self.stopped_at = datetime.now(UTC)
        task_shape.emit_state_change(self)

    def _fail(self, code: str, reason: str) -> None:
        self.failed, self.stop_code, self.stopped_reason = True, code, reason
        self._terminate()

    def _drain_seconds(self) -> float:
        return max((target_health.deregistration_delay_seconds(t.group.arn) for t in self.targets), default=0.0)

    def _is_up(self) -> bool:
        return self.port is not None or (bool(self.command) and self._process is not None)

    def _override(self, container: str) -> dict[str, Any]:
        entries = self.overrides.get("containerOverrides") or []
        return next((entry for entry in entries if entry.get("name") == container), {})

    def _environment(self, container: dict[str, Any]) -> dict[str, str]:
        entries = [*(container.get("environment") or []), *(self._override(container["name"]).get("environment") or [])]
        region = str(self.service.region_name)
        surroundings = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        request = {**container, "environment": entries}
        return surroundings | secrets.container_environment(request, self.execution_role_arn, region)

    def _pull_and_start(self) -> None:
        """Read secrets, pull images, prepare the log, and start the process. The first failure stops the task."""
        name = self.main_container["name"]
        try:
            environments = {container["name"]: self._environment(container) for container in self.containers}
            for container in self.containers:
                image = str(container["image"])
                digest = self.pinned_images.get(container["name"])
                pulled = images.pull(images.pinned(image, digest) if digest else image)
                self.pinned_images.setdefault(container["name"], pulled.digest)
                if container["name"] == name:
                    main = pulled
            log = TaskLog(self.main_container, self.id, str(self.service._account_id), str(self.service.region_name))
            log.prepare()
        except (secrets.ResourceInitializationError, images.CannotPullContainerError, LookupError) as error:
            self._fail("TaskFailedToStart", str(error.args[0]))
            return
        if self.command:
            self._process = process.run(main, self.command, environments[name])
        else:
            self._process = process.serve(main, self._application(main), environments[name])
        arguments = (child_processes.output_of(self._process), log)
        self._reader = threading.Thread(target=self._read_output, args=arguments, name=f"log {self.id}", daemon=True)
        self._reader.start()

    def _application(self, image: images.PulledImage) -> process.Application:
        groups = [entry["targetGroupArn"] for entry in self.service.load_balancers if "targetGroupArn" in entry]
        health_path = str(target_health.group_of(groups[0]).health_check_path or "/") if groups else "/health"
        delay_seconds = image.behaviour.get("after_seconds")
        if delay_seconds is not None:
            # A release decays by its own age, so a replacement task fails too.
            age = self.revision_age_seconds if image.behaviour.get("kind") in {"decays", "locks"} else 0.0
            delay_seconds = clock.real_seconds(max(0.0, float(delay_seconds) - age))
        return process.Application(self.id, health_path, shared.shared_file(str(self.service.arn)), delay_seconds)

    def _register(self) -> None:
        for entry in self.service.load_balancers:
            if "targetGroupArn" in entry and self.port is not None:
                self.targets.append(
                    target_health.register(
                        entry["targetGroupArn"], self.private_address, int(entry.get("containerPort", 80)), self.port
                    )
                )

    def _terminate(self) -> None:
        for target in self.targets:
            target_health.remove(target)
        if self._process is not None:
            if self._process.poll() is None:
                self._process.terminate()
            self.exit_code = process.exit_code(self._process)
            if self._reader is not None:
                self._reader.join(_LAST_LINES_SECONDS)
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._enter("STOPPED")

    def _read_output(self, output: IO[str], log: TaskLog) -> None:
        with output as lines:
            for line in lines:
                if line.startswith("listening "):
                    self.port = int(line.split()[1])
                else:
                    log.write(line.rstrip("\n"))
