"""The CDK app, which `cdk synth` and `cdk deploy` run: the stacks of each environment in `cdk.json`."""

from typing import TYPE_CHECKING

from rollback_constructs.app import run

if TYPE_CHECKING:
    from aws_cdk import App


def build() -> "App":
    """Build the app with all stacks."""
    from stacks.assembly import build as build_stacks  # noqa: PLC0415 - this import starts jsii

    return build_stacks()


if __name__ == "__main__":
    run(build)
