"""What moto fills its state with at the start, and how it forgets it, without work that nobody here asks for.

moto makes IAM's managed policies once for each of AWS's partitions, and EC2's machine images; and it makes all of it
anew to forget it. Together that is more than deploying our stacks takes. And each of the sessions of a process, moto's
and ours, reads botocore's models of the services anew, of which EC2's alone takes half a second.
"""

import functools
import os
from typing import Any

from botocore.loaders import JSONFileLoader
from moto.core.base_backend import BackendDict, BaseBackend, backend_lock
from moto.core.model_instances import reset_model_data
from moto.iam.models import IAMBackend

_PARTITION = "aws"  # the only one with anything in it
_stock_policies = IAMBackend._init_aws_policies
_stock_load = JSONFileLoader.load_file


@functools.cache
def _model(path: str) -> Any:
    return _stock_load(JSONFileLoader(), path)


def _load(_: JSONFileLoader, file_path: str) -> Any:
    """Models are only read, once they are loaded."""
    return _model(file_path)


def _policies(self: Any) -> list[Any]:
    """Of each partition moto looks only for access keys."""
    policies: list[Any] = _stock_policies(self) if self.region_name == _PARTITION else []
    return policies


def install() -> None:
    """Before any state is made."""
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    IAMBackend._init_aws_policies = _policies
    JSONFileLoader.load_file = _load  # type: ignore[method-assign, assignment]


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
