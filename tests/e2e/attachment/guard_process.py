"""Embedded cloud in a process of its own, with the app in `examples/guard` deployed in it by its own templates.

The process prints the environment variables of a client as one line of JSON. It ends by SIGINT, and with its input.
"""

import json
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from local_cloud.ecr.images import push_image
from local_cloud.processes import child_processes
from local_cloud.processes.orderly_exit import orderly_exit
from rollback_cli.demo.environment import DemoEnvironment
from rollback_cli.demo.profile import SCALE, overrides
from rollback_cli.demo.timeline.timeline import Timeline

EXAMPLE = Path(__file__).parents[3] / "examples" / "guard"
STACK, REPOSITORY, FIRST_VERSION = "Shop", "shop-api", "v1.0.0"
POLICY = {"bake_minutes": 600, "bake_timeout_minutes": 601}  # only the test promotes


class ExampleEnvironment(DemoEnvironment):
    """The demo's cloud and limits, with the stack of the example in the place of ours."""

    def _synthesise(self, out: Path) -> None:
        settings = overrides(self.base_url, POLICY, {}, {})
        (service,) = settings.pop("services")
        context = {
            **json.loads((EXAMPLE / "cdk.json").read_text())["context"],
            "rollback:overrides": {**settings, "services": [{"base_url": service["base_url"]}]},
            "rollback:bundle_platform": f"{platform.machine()}-manylinux_2_28",
            "rollback:bundle_python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "rollback:clock_scale": SCALE,
        }
        variables = {
            **os.environ,
            "CDK_OUTDIR": str(out),
            "CDK_CONTEXT_JSON": json.dumps(context),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        result = child_processes.run([sys.executable, "app.py"], cwd=EXAMPLE, env=variables)
        if result.returncode:
            raise SystemExit(f"{EXAMPLE / 'app.py'} ended with {result.returncode}: {result.stdout}{result.stderr}")

    def _deploy(self, assembly: Path) -> None:
        ecr = self.client("ecr")
        ecr.create_repository(repositoryName=REPOSITORY)
        push_image(ecr, REPOSITORY, FIRST_VERSION, {"kind": "healthy"})
        super()._deploy(assembly)


def main() -> None:
    os.environ["ROLLBACK_STACK"] = STACK
    with orderly_exit(), suppress(KeyboardInterrupt), ExampleEnvironment(Timeline(Console(stderr=True))) as deployed:
        sys.stdout.write(json.dumps({**deployed.cloud.environment(), "ROLLBACK_STACK": STACK}) + "\n")
        sys.stdout.flush()
        for _ in sys.stdin:
            pass


if __name__ == "__main__":
    main()
