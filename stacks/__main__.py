"""The CDK app of the installed package: `"app": "python -m stacks"` in the `cdk.json` of any folder."""

import signal
import sys
from types import FrameType


def main() -> None:
    """Synthesise the stacks; on SIGTERM or SIGHUP stop the child processes (uv, jsii) and remove their files too."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _exit)
    from rollback_constructs.limits import LimitExceeded  # noqa: PLC0415
    from rollback_constructs.settings.environment import InvalidSettings  # noqa: PLC0415
    from stacks.assembly import build  # noqa: PLC0415 - this import starts jsii

    try:
        app = build()
    except (InvalidSettings, LimitExceeded) as error:
        raise SystemExit(str(error)) from None
    app.synth()


def _exit(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
