"""The CDK app of the installed package: `"app": "python -m rollback_constructs.app"` in the `cdk.json` of any folder.

The app creates a rollback stack for each environment whose services other stacks or tools deploy. The repository's
`app.py` creates services too.
"""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import App


def run(build: "Callable[[], App]") -> None:
    """Synthesise an app; on SIGTERM or SIGHUP stop the child processes (uv, jsii) and remove their files too.

    Args:
        build: function that builds the app. Its imports belong inside: they start jsii.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _exit)
    from rollback_constructs.limits import LimitExceeded  # noqa: PLC0415
    from rollback_constructs.settings.environment import InvalidSettings  # noqa: PLC0415

    try:
        app = build()
    except (InvalidSettings, LimitExceeded) as error:
        raise SystemExit(str(error)) from None
    app.synth()


def build() -> "App":
    """Build the app from the context in `cdk.json`, which the CDK's command line passes.

    Raises:
        InvalidSettings: a setting is wrong, or an environment has a service that only the repository's app creates.
    """
    from aws_cdk import App  # noqa: PLC0415
    from aws_cdk import Environment as CdkEnvironment  # noqa: PLC0415

    from rollback_constructs.attachment import to_attachment  # noqa: PLC0415
    from rollback_constructs.feature_flags import FEATURE_FLAGS  # noqa: PLC0415
    from rollback_constructs.rollback_stack import RollbackStack  # noqa: PLC0415
    from rollback_constructs.settings.environment import (  # noqa: PLC0415
        CONTEXT_KEYS,
        Configuration,
        InvalidSettings,
        stack_names,
    )

    app = App(context=dict(FEATURE_FLAGS), analytics_reporting=False, tree_metadata=False)
    names = {*CONTEXT_KEYS, *app.node.get_all_context()}
    configuration = Configuration.read(
        {name: value for name in names if (value := app.node.try_get_context(name)) is not None}
    )
    for name, settings in configuration.environments.items():
        if created := [service.name for service in settings.created_services]:
            raise InvalidSettings(
                f"environments.{name}.services.{created[0]} has a workload; the installed package attaches to existing "
                "services only: describe it by existing, or use the app of the repository"
            )
        service_stack, rollback_stack = stack_names(configuration.application, name)
        RollbackStack(
            app,
            rollback_stack,
            settings=settings,
            runtime_settings=settings.runtime_settings(configuration.application, name, {}, service_stack),
            attachments=tuple(to_attachment(service) for service in settings.services),
            bundle=configuration.bundle,
            env=CdkEnvironment(account=settings.account, region=settings.region),
        )
    return app


def _exit(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
    sys.exit(128 + number)


if __name__ == "__main__":
    run(build)
