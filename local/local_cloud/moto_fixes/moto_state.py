"""Start and reset of moto without work that the embedded cloud never uses.

moto makes IAM's managed policies once for each of AWS's partitions, and EC2's machine images. A reset makes all of them
anew before it drops them. Together this takes longer than deploying our stacks. Each botocore session, moto's and ours,
reads the services' models anew. EC2's model alone takes half a second.
"""

import functools
import os
from typing import Any

from botocore.loaders import JSONFileLoader
from moto.core.base_backend import BackendDict, BaseBackend, backend_lock
from moto.core.model_instances import reset_model_data
from moto.iam.models import IAMBackend

_PARTITION = "aws"  # the only partition that the embedded cloud has resources in
_stock_policies = IAMBackend._init_aws_policies
_stock_load = JSONFileLoader.load_file


@functools.cache
def _model(path: str) -> Any:
    return _stock_load(JSONFileLoader(), path)


def _load(_: JSONFileLoader, file_path: str) -> Any:
    """Load each model once. A loaded model is never written to, so all sessions can share it."""
    return _model(file_path)


def _policies(self: Any) -> list[Any]:
    """Make managed policies in one partition. moto reads only access keys from the others."""
    policies: list[Any] = _stock_policies(self) if self.region_name == _PARTITION else []
    return policies


def install() -> None:
    """Make moto's start cheap. Call this before moto makes any state."""
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    IAMBackend._init_aws_policies = _policies
    JSONFileLoader.load_file = _load  # type: ignore[method-assign, assignment]


def forget() -> None:
    """Reset moto as its own reset does, without filling the backends that are dropped."""
    with backend_lock:
        for accounts in BackendDict._instances:
            for regions in accounts.values():
                for backend in regions.values():
                    if type(backend).reset is not BaseBackend.reset:  # S3's closes the files that hold its objects
                        backend.reset()
            accounts.clear()
        BackendDict._instances.clear()
    reset_model_data()
