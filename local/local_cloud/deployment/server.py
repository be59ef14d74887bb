"""The server of the embedded cloud: AWS's APIs on one port of this machine, on moto with its fixes and simulations."""

import logging
import os
import socket
from contextlib import ExitStack
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from moto.core import DEFAULT_ACCOUNT_ID
from moto.server import ThreadedMotoServer

from local_cloud import clock
from local_cloud.cloudformation import service as cloudformation
from local_cloud.cloudwatch import alarms
from local_cloud.ecs import simulation
from local_cloud.events import rules as event_rules
from local_cloud.faults import lag, outage
from local_cloud.functions import functions
from local_cloud.iam import credentials, identity
from local_cloud.moto_fixes import dynamodb, moto_state, pagination
from local_cloud.processes.signals import defer_signals
from local_cloud.step_functions import service as step_functions

if TYPE_CHECKING:
    from local_cloud.neon.server import LocalNeon

_PARTS: tuple[ModuleType, ...] = (dynamodb, cloudformation, functions, step_functions, event_rules, alarms, simulation)
_READY_SECONDS = 30.0


class PortInUseError(RuntimeError):
    """Another process listens on the cloud's port."""


class LocalCloud:
    """The cloud. A process has one at most: moto keeps its state in the process, and loses it when the cloud stops."""

    def __init__(
        self,
        port: int = 0,
        scale: float = 20.0,
        region: str = "eu-west-1",
        account: str = DEFAULT_ACCOUNT_ID,
        enforce_iam: bool = True,
        page_size: int | None = pagination.DEFAULT_PAGE_SIZE,
    ) -> None:
        """Describe a cloud without starting it.

        Args:
            port: 0 takes a free one.
            scale: simulated seconds per real second.
            region: that of the clients.
            account: moto's, which is the only possible one.
            enforce_iam: evaluate the policies of every calling role. The administrator's key always passes.
            page_size: items in a page of an answer, few so that code which reads one page only fails. None: moto's.

        Raises:
            ValueError: moto serves another account.
        """
        if account != DEFAULT_ACCOUNT_ID:
            raise ValueError(f"moto serves account {DEFAULT_ACCOUNT_ID} only, not {account}: set MOTO_ACCOUNT_ID")
        self.region = region
        self.account = account
        self.port = port or _free_port()
        self.scale = scale
        self.enforce_iam = enforce_iam
        self.page_size = page_size
        self._server: ThreadedMotoServer | None = None
        self._to_undo = ExitStack()
        self._neon: LocalNeon | None = None

    @property
    def endpoint(self) -> str:
        """URL of the cloud. It has the name `localhost`: moto takes path-style template URLs with that name only."""
        return f"http://localhost:{self.port}"

    def start(self) -> Self:
        """Install all fixes and simulations, and serve. A failure stops all that was started.

        Raises:
            RuntimeError: the cloud runs already.
            PortInUseError: another process listens on the port.
        """
        if self._server is not None:
            raise RuntimeError(f"the embedded cloud already runs on {self.endpoint}")
        _require_free_port(self.port)
        try:
            self._start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def _start(self) -> None:
        undo = self._to_undo.callback
        os.environ["MOTO_PORT"] = str(self.port)  # moto's own services read their port here
        moto_state.install()
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        logging.getLogger("moto.stepfunctions").setLevel(
            logging.CRITICAL
        )  # it logs each absent field that IsPresent tests
        clock.configure(self.scale)
        credentials.configure(self.endpoint)
        undo(moto_state.forget)
        undo(identity.uninstall)
        undo(pagination.uninstall)  # also removes `lag` and `outage`, the layers above
        undo(lag.forget)
        undo(outage.forget)
        undo(self._stop_neon)
        undo(self._stop_serving)
        for part in _PARTS:
            if hasattr(part, "stop"):
                undo(part.stop)
            part.install()
        identity.install(enforce=self.enforce_iam)
        if self.page_size is not None:
            pagination.install(self.page_size)
        lag.install()
        outage.install()
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        """Stop serving, end every subprocess and thread of the cloud, and forget all state."""
        self._clean_up()

    def _clean_up(self) -> None:
        """Stop all parts in reverse. An exception of one part does not skip the others."""
        with defer_signals():
            self._to_undo.close()

    def _stop_serving(self) -> None:
        server, self._server = self._server, None
        if server is not None and server._thread is not None:
            server._server_ready_event.wait(_READY_SECONDS)  # a server that is starting can't be stopped
            server.stop()
            if server._server is not None:
                server._server.server_close()

    def _stop_neon(self) -> None:
        neon, self._neon = self._neon, None
        if neon is not None:
            neon.stop()

    def neon(self) -> "LocalNeon":
        """Return the Neon beside this cloud. The first call starts it in one to two seconds; it stops with the cloud.

        Raises:
            RuntimeError: the cloud does not run.
        """
        if self._server is None:
            raise RuntimeError("the embedded cloud does not run, so it would not stop its Neon: start the cloud first")
        if self._neon is None:
            from local_cloud.neon.server import LocalNeon  # noqa: PLC0415 - imports the driver, which not every use needs

            self._neon = LocalNeon().start()
        return self._neon

    def client(self, service: str) -> Any:
        """Return a boto3 client of the administrator."""
        return credentials.service_client(service, self.region)

    def environment(self) -> dict[str, str]:
        """Return the variables with which a command (cdk, aws, rollback) calls this cloud as the administrator."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "CDK_DEFAULT_ACCOUNT": self.account,
            "CDK_DEFAULT_REGION": self.region,
            **credentials.ADMIN.as_environment(),
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _require_free_port(port: int) -> None:
    """Check the port before the start: moto's server fails in a thread of its own, and never becomes ready.

    Raises:
        PortInUseError: another process listens on the port.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortInUseError(
                f"the embedded cloud can't listen on port {port} ({error.strerror}): choose another port, or 0"
            ) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
