"""Step Functions: moto's interpreter, mended where it differs from AWS. Not supported: Redrive, TestState, logging."""

from moto.core.config import default_user_config

from local_cloud.step_functions import api as step_functions_api
from local_cloud.step_functions import errors as step_functions_errors
from local_cloud.step_functions import executions as step_functions_executions
from local_cloud.step_functions import paths as step_functions_paths
from local_cloud.step_functions import tasks as step_functions_tasks
from local_cloud.step_functions import time as step_functions_time
from local_cloud.step_functions import tokens as step_functions_tokens


class _Installed:
    done = False


def install() -> None:
    """Make moto execute state machines as AWS does. Repeated calls do nothing."""
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    if _Installed.done:
        return
    for part in (
        step_functions_time,
        step_functions_paths,
        step_functions_tasks,
        step_functions_errors,
        step_functions_executions,
        step_functions_tokens,
        step_functions_api,
    ):
        part.install()
    _Installed.done = True


def stop() -> None:
    """Abort running executions and forget the clients of their roles."""
    step_functions_executions.stop_all()
    step_functions_tasks.forget_clients()
