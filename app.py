"""The CDK app: for each environment in `cdk.json`, its stacks. Run by `cdk synth` and `cdk deploy`."""

import signal
import sys
from types import FrameType


def main() -> None:
    """Synthesise; a signal that ends us ends what we started too (uv, jsii), and removes what it made."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is signal.SIG_DFL:
            signal.signal(ending, _leave)
    from rollback_constructs.limits import LimitExceeded  # noqa: PLC0415
    from stacks.assembly import build  # noqa: PLC0415 - jsii starts when it is imported
    from stacks.environment import InvalidSettings  # noqa: PLC0415

    try:
        app = build()
    except (InvalidSettings, LimitExceeded) as error:
        raise SystemExit(str(error)) from None
    app.synth()


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
