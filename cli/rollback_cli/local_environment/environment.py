"""The environment of `rollback local up`: an empty cloud, or one with our stacks and a first good release."""

import http.client
from pathlib import Path
from urllib.parse import urlsplit

from local_cloud.deployment.deploy import bootstrap
from rollback.domain.releases.release import ReleaseState
from rollback.errors import InvalidRequest
from rollback_cli.demo.environment import DemoEnvironment
from rollback_cli.demo.profile import ENVIRONMENT
from rollback_cli.demo.timeline.timeline import Timeline
from rollback_cli.demo.timeline.watcher import DemoWatcher
from rollback_cli.demo.waiting import wait_until
from rollback_cli.deployed_stack import find_deployment
from rollback_cli.local_environment.behaviours import HEALTHY
from rollback_cli.local_environment.client_variables import point_this_process_at
from rollback_cli.local_environment.cloud_record import LocalCloudRecord, assembly_folder
from rollback_cli.local_environment.profile import ALARMS, DATABASE_POLICY, MAX_PENDING, POLICY, REQUESTS_PER_SECOND
from rollback_cli.local_environment.shipping import ship_release

FIRST_VERSION = "v1.0.0"
_SETTLE_SECONDS = 180.0
_PROMOTION_SECONDS = 240.0


class LocalEnvironment(DemoEnvironment):
    """An environment that a person uses from other processes."""

    def __init__(
        self, timeline: Timeline, *, port: int, should_deploy: bool, with_database: bool, has_traffic: bool
    ) -> None:
        """Prepare an environment; nothing is started yet.

        Args:
            timeline: timeline that reports the progress of the environment.
            port: port of the embedded cloud; 0: a free port.
            should_deploy: whether our stacks are deployed and a first release is shipped.
            with_database: whether the service has a Neon database.
            has_traffic: whether requests are sent as soon as the service answers.
        """
        policy = {**POLICY, **(DATABASE_POLICY if with_database else {})}
        super().__init__(timeline, port=port, policy=policy, with_database=with_database, alarms=ALARMS)
        self._should_deploy, self._has_traffic = should_deploy, has_traffic
        self._watcher: DemoWatcher | None = None

    def _start_all(self) -> None:
        self._start_cloud()
        point_this_process_at(self.cloud.environment())
        self._synthesise(_make_folder(assembly_folder()))
        if self._should_deploy:
            self._deploy(assembly_folder())
            self._watch()
        else:
            bootstrap(self.cloud)

    def record(self) -> LocalCloudRecord:
        """Return what other commands have to know of this cloud."""
        return LocalCloudRecord(
            variables=self.cloud.environment(),
            application_url=self.base_url,
            requests_per_second=REQUESTS_PER_SECOND if self._has_traffic else 0,
        )

    def ship_first_release(self) -> None:
        """Ship a healthy release, and wait until it is promoted; without traffic, until it serves requests.

        Raises:
            ExpectationFailed: the release does not serve requests, or is not promoted.
        """
        self._timeline.say(f"ship {FIRST_VERSION}", "head")
        ship_release(self, self.deployed, self.ports, FIRST_VERSION, HEALTHY)
        wait_until(f"{FIRST_VERSION} serves requests", self.is_settled, _SETTLE_SECONDS)
        if self._has_traffic:
            self.start_load(REQUESTS_PER_SECOND, MAX_PENDING)
            self._timeline.say(f"{REQUESTS_PER_SECOND:g} requests per second are sent; the release bakes")
            wait_until(f"{FIRST_VERSION} is promoted", self._has_promoted_release, _PROMOTION_SECONDS)

    def follow_deployment(self) -> None:
        """Watch stacks that another process has deployed, and send traffic once their service answers.

        Call this once a second. A probe a second is too little traffic for an alarm.
        """
        if self._watcher is None:
            try:
                self._attach(find_deployment(ENVIRONMENT))
            except InvalidRequest:
                return  # the stack is not there yet
            self._timeline.say("the stacks are deployed")
            self._watch()
        if self.load is None and self._has_traffic and _answers(self.base_url):
            self.start_load(REQUESTS_PER_SECOND, MAX_PENDING)
            self._timeline.say(f"the service answers; {REQUESTS_PER_SECOND:g} requests per second are sent")

    def _watch(self) -> None:
        self._watcher = DemoWatcher(self, self._timeline)
        self._cleanup.enter_context(self._watcher)

    def _has_promoted_release(self) -> bool:
        return any(r.state is ReleaseState.PROMOTED for r in self.ports.ledger.releases(self.service.name))


def _make_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _answers(base_url: str) -> bool:
    """Whether the application, not the load balancer alone, answers."""
    parts = urlsplit(base_url)
    connection = http.client.HTTPConnection(parts.hostname or "localhost", parts.port, timeout=5)
    try:
        connection.request("GET", "/api/status")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
