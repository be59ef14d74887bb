"""Embedded cloud in a process of its own, with the stacks of the previous release; it deploys today's when asked.

A line `deploy today` or `deploy previous` on its input updates the stacks through CloudFormation, as `cdk deploy` does.
SIGINT ends the process, and so does the end of its input.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path

from previous_release.fixture import upgraded_context, write_assembly
from rich.console import Console

from local_cloud.deployment.deploy import deploy_assembly
from local_cloud.processes import owned_folders
from local_cloud.processes.orderly_exit import orderly_exit
from rollback_cli.demo.environment import DemoEnvironment
from rollback_cli.demo.synthesis import APPLICATION_URL_PLACEHOLDER, synthesise_context
from rollback_cli.demo.timeline.timeline import Timeline

_VARIANT = "demo"


class UpgradedEnvironment(DemoEnvironment):
    """Demo environment of the previous release, whose stacks can be updated to today's and back."""

    def _synthesise(self, out: Path) -> None:
        write_assembly(_VARIANT, out, {APPLICATION_URL_PLACEHOLDER: self.base_url})

    def deploy(self, release: str) -> None:
        """Deploy `today` or `previous` over what is deployed."""
        assembly = owned_folders.make("upgrade")
        self._cleanup.callback(owned_folders.remove, assembly)
        if release == "previous":
            self._synthesise(assembly)
        else:
            replacements = {APPLICATION_URL_PLACEHOLDER: self.base_url}
            synthesise_context(assembly, upgraded_context(_VARIANT), replacements)
        deploy_assembly(self.cloud, assembly)


def main() -> None:
    with (
        orderly_exit(),
        suppress(KeyboardInterrupt),
        UpgradedEnvironment(Timeline(Console(stderr=True))) as environment,
    ):
        sys.stdout.write(json.dumps(environment.cloud.environment()) + "\n")
        sys.stdout.flush()
        for line in sys.stdin:
            release = line.split()[-1]
            environment.deploy(release)
            sys.stdout.write(f"deployed: {release}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
