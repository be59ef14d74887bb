"""The life of one ECS task: PROVISIONING, PENDING (pull), RUNNING as a real process, DEACTIVATING (drain), STOPPED."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.logs.models import logs_backends

from local_cloud import clock, ecs_shared, images, target_health

PROVISIONING_SECONDS = 2.0  # simulated; Fargate takes longer, which only a benchmark of Fargate would need
STABLE_SECONDS = 5.0  # simulated; how long a task without a load balancer must run to count as started
_APPLICATION = Path(__file__).with_name("application.py")


def simulated_time() -> float:
    """Simulated seconds on a monotonic clock."""
    return time.monotonic() / clock.real_seconds(1.0)


@dataclass(eq=False)
class Task:
    """One task of a service. The scheduler calls ``advance`` often and ``stop`` once."""

    service: Any  # moto's Service
    definition: Any  # moto's TaskDefinition
    deployment_id: str
    pinned_images: dict[str, str]  # container name: digest, as the service revision resolved them
    revision_age_seconds: float = 0.0  # simulated, when the task was made
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

    def __post_init__(self) -> None:
        number = uuid.UUID(self.id).int
        self.private_address = f"10.0.{number % 250 + 1}.{number // 250 % 250 + 4}"
        prefix, _, _ = str(self.service.cluster_arn).rpartition(":")
        self.arn = f"{prefix}:task/{self.service.cluster_name}/{self.id}"

    @property
    def containers(self) -> list[dict[str, Any]]:
        """The container definitions."""
        return list(self.definition.container_definitions)

    @property
    def main_container(self) -> dict[str, Any]:
        """The container behind the load balancer, else the first essential one: the one that becomes a process."""
        balanced = {entry.get("containerName") for entry in self.service.load_balancers}
        return next(
            (c for c in self.containers if c["name"] in balanced),
            next((c for c in self.containers if c.get("essential", True)), self.containers[0]),
        )

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
        """RUNNING and passing the health checks of every target group; without one, RUNNING for a while."""
        if self.status != "RUNNING":
            return False
        if self.targets:
            return all(target.state == "healthy" for target in self.targets)
        return self.running_seconds >= STABLE_SECONDS

    @property
    def unhealthy_target(self) -> target_health.Target | None:
        """A target of this task that fails its health checks."""
        return next((target for target in self.targets if target.state == "unhealthy"), None)

    def advance(self) -> None:
        """Take the step that is due, if any."""
        elapsed = simulated_time() - self._since
        if self.status == "PROVISIONING" and elapsed >= PROVISIONING_SECONDS:
            self._enter("PENDING")
            self._pull_and_start()
        elif self.status == "PENDING" and self.port is not None:
            self._enter("RUNNING")
            self.started_at = datetime.now(UTC)
            self._register()
        elif self.status == "DEACTIVATING" and elapsed >= self._drain_seconds():
            self._terminate()
        if self.is_live and self._process is not None and self._process.poll() is not None:
            self.exit_code = self._process.returncode
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

    def _fail(self, code: str, reason: str) -> None:
        self.failed, self.stop_code, self.stopped_reason = True, code, reason
        self._terminate()

    def _drain_seconds(self) -> float:
        return max((target_health.deregistration_delay_seconds(t.group.arn) for t in self.targets), default=0.0)

    def _pull_and_start(self) -> None:
        try:
            for container in self.containers:
                image = str(container["image"])
                digest = self.pinned_images.get(container["name"])
                pulled = images.pull(images.pinned(image, digest) if digest else image)
                self.pinned_images.setdefault(container["name"], pulled.digest)
                if container["name"] == self.main_container["name"]:
                    main = pulled
            self._log_stream()
        except (images.CannotPullContainerError, LookupError) as error:
            self._fail("TaskFailedToStart", str(error.args[0]))
            return
        self._start(main)

    def _start(self, image: images.PulledImage) -> None:
        behaviour = dict(image.behaviour)
        if "after_seconds" in behaviour:
            after = float(behaviour["after_seconds"])
            if behaviour.get("kind") in (
                "decays",
                "locks",
            ):  # with its release: what ECS starts in its place is no better
                after = max(0.0, after - self.revision_age_seconds)
            behaviour["after_seconds"] = clock.real_seconds(after)
        groups = [entry["targetGroupArn"] for entry in self.service.load_balancers if "targetGroupArn" in entry]
        health_path = str(target_health.group_of(groups[0]).health_check_path or "/") if groups else "/health"
        identity = {"version": image.version, "digest": image.digest, "task": self.id}
        command = [sys.executable, "-S", "-E", str(_APPLICATION), "--port", "0", "--health-path", health_path]
        command += ["--behaviour", json.dumps(behaviour), "--identity", json.dumps(identity)]
        command += ["--shared", str(ecs_shared.file_of(str(self.service.arn)))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self._read_output, args=(self._process,), name=f"log {self.id}", daemon=True).start()

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
            self.exit_code = self._process.wait(timeout=5)
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._enter("STOPPED")
        self.stopped_at = datetime.now(UTC)

    def _read_output(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # noqa: S101 (opened with a pipe above)
        with process.stdout as lines:
            for line in lines:
                if line.startswith("listening "):
                    self.port = int(line.split()[1])
                else:
                    self._log(line.rstrip("\n"))

    def _log_stream(self) -> tuple[Any, str, str] | None:
        """The logs backend, group and stream of the main container, created when missing; None without awslogs."""
        configuration = self.main_container.get("logConfiguration") or {}
        options = configuration.get("options") or {}
        if configuration.get("logDriver") != "awslogs":
            return None
        account = str(self.service._account_id)
        backend = logs_backends[account][options.get("awslogs-region", self.service.region_name)]
        group = options["awslogs-group"]
        stream = f"{options.get('awslogs-stream-prefix', 'ecs')}/{self.main_container['name']}/{self.id}"
        if group not in backend.groups:
            if options.get("awslogs-create-group") != "true":
                raise LookupError(
                    "ResourceInitializationError: failed to validate logger args: create stream has been retried "
                    "1 times: ResourceNotFoundException: The specified log group does not exist."
                )
            backend.create_log_group(group, {})
        if stream not in backend.groups[group].streams:
            backend.create_log_stream(group, stream)
        return backend, group, stream

    def _log(self, message: str) -> None:
        try:
            place = self._log_stream()
        except LookupError:  # the group was deleted while the task ran: its lines are lost, as on AWS
            return
        if place is not None:
            backend, group, stream = place
            backend.put_log_events(group, stream, [{"timestamp": int(time.time() * 1000), "message": message}])
