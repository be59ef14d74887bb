"""What moto fills its state with at the start, and how it forgets it, without work that nobody here asks for.

moto makes IAM's managed policies once for each of AWS's partitions, and EC2's machine images; and it makes all of it
anew to forget it. Together that is more than deploying our stacks takes.
"""

import os
from typing import Any

from moto.core.base_backend import BackendDict, BaseBackend, backend_lock
from moto.core.model_instances import reset_model_data
from moto.iam.models import IAMBackend

_PARTITION = "aws"  # the only one with anything in it
_stock_policies = IAMBackend._init_aws_policies


def _policies(self: Any) -> list[Any]:
    """Of each partition moto looks only for access keys."""
    policies: list[Any] = _stock_policies(self) if self.region_name == _PARTITION else []
    return policies


def install() -> None:
    """Before any state is made."""
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    IAMBackend._init_aws_policies = _policies


def forget() -> None:
    """As moto's own reset, but that backends which are dropped anyway are not filled again first."""
    with backend_lock:
        for accounts in BackendDict._instances:
            for regions in accounts.values():
                for backend in regions.values():
                    if type(backend).reset is not BaseBackend.reset:  # S3's closes the files that hold its objects
                        backend.reset()
            accounts.clear()
        BackendDict._instances.clear()
    reset_model_data()
