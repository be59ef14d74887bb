"""Step Functions: moto's interpreter, repaired, on the scaled clock, with each state machine's own role."""

from moto.core.config import default_user_config

from local_cloud.moto_fixes.step_functions import api, errors, executions, paths, tokens
from local_cloud.step_functions import status_events, tasks
from local_cloud.step_functions import time as scaled_time


class _Installed:
    done = False


def install() -> None:
    """Make moto execute state machines as AWS does. Repeated calls do nothing."""
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    if _Installed.done:
        return
    for fix in (paths, errors, executions, tokens, api):
        fix.install()
    for part in (scaled_time, tasks, status_events):
        part.install()
    _Installed.done = True


def stop() -> None:
    """Abort running executions, and forget the clients of their roles."""
    status_events.stop_all()
    tasks.forget_clients()
