"""Embedded cloud in a process of its own, because moto keeps its state in the process and other tests have theirs.

Run `python cloud_process.py [POLICY APPROVAL [with-database]]`. With a policy (JSON), the demo environment is deployed
with this policy over its own, with these settings of approvals (JSON), and with a database if asked. The process prints
the environment variables of a client as one line of JSON. A line `{"down": "dynamodb"}` or `{"up": "dynamodb"}` on its
input begins or ends an outage. A line `{"listen_on": 8123}` gives the next listener of a load balancer this port.
SIGINT ends the process, and so does the end of its input: then its parent process is gone.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console

from local_cloud.deployment.deploy import bootstrap
from local_cloud.deployment.server import LocalCloud
from local_cloud.elb import load_balancer
from local_cloud.faults import outage
from local_cloud.processes.orderly_exit import orderly_exit
from rollback_cli.demo.environment import DemoEnvironment
from rollback_cli.demo.timeline.timeline import Timeline


@contextmanager
def cloud(policy: str | None, approval: str, *, with_database: bool) -> Iterator[LocalCloud]:
    if policy is None:
        with LocalCloud() as running:
            bootstrap(running)
            yield running
    else:
        timeline = Timeline(Console(stderr=True))
        settings = {"policy": json.loads(policy), "approval": json.loads(approval)}
        with DemoEnvironment(timeline, **settings, with_database=with_database) as deployed:
            yield deployed.cloud


def _obey(command: Mapping[str, Any]) -> None:
    """Begin or end the outage of a service, or set the port of the next listener; acknowledge that with a line."""
    (action, subject), *_ = command.items()
    if action == "listen_on":
        load_balancer.listen_on(int(subject))
    else:
        (outage.begin if action == "down" else outage.end)(subject)
    sys.stdout.write(f"{subject} is {action}\n")
    sys.stdout.flush()


def main() -> None:
    policy, approval = sys.argv[1:3] if len(sys.argv) > 1 else (None, "")
    with (
        orderly_exit(),
        suppress(KeyboardInterrupt),
        cloud(policy, approval, with_database="with-database" in sys.argv) as running,
    ):
        sys.stdout.write(json.dumps(running.environment()) + "\n")
        sys.stdout.flush()
        for line in sys.stdin:
            _obey(json.loads(line))


if __name__ == "__main__":
    main()
