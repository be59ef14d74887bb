"""An embedded cloud in a process of its own: moto keeps its state in the process, where other tests have theirs.

Run as `python cloud_process.py [POLICY [with-database]]`. With a policy (JSON) the stage is put up: our stacks are
deployed, with that policy over the stage's own, and the service has a database if told. Prints what a client needs in
its environment as one line of JSON. Ends by SIGINT, or when its input ends: then whoever started it is gone.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console

from local_cloud.deployment.deploy import bootstrap
from local_cloud.deployment.server import LocalCloud
from local_cloud.processes.orderly_exit import orderly_exit
from rollback_cli.demo.environment import DemoEnvironment
from rollback_cli.demo.timeline.timeline import Timeline


@contextmanager
def cloud(policy: str | None, *, with_database: bool) -> Iterator[LocalCloud]:
    if policy is None:
        with LocalCloud() as running:
            bootstrap(running)
            yield running
    else:
        timeline = Timeline(Console(stderr=True))
        with DemoEnvironment(timeline, policy=json.loads(policy), with_database=with_database) as stage:
            yield stage.cloud


def main() -> None:
    policy = sys.argv[1] if len(sys.argv) > 1 else None
    with (
        orderly_exit(),
        suppress(KeyboardInterrupt),
        cloud(policy, with_database="with-database" in sys.argv) as running,
    ):
        sys.stdout.write(json.dumps(running.environment()) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
