"""CloudFormation as the CDK's templates need it: our resource types in moto's engine, with the fixes of that engine."""

from moto.core.common_models import CloudFormationModel

from local_cloud.cloudformation import monitoring_and_access, serverless, workloads
from local_cloud.cloudformation.types import Resource, define
from local_cloud.moto_fixes.cloudformation import change_sets, stacks, termination_protection

_stock_models = {
    model.cloudformation_type(): model for model in CloudFormationModel.__subclasses__() if model is not Resource
}
_MODELS = _stock_models | {
    resource_type.name: define(resource_type)
    for resource_type in (*monitoring_and_access.TYPES, *serverless.TYPES, *workloads.TYPES)
}


def install() -> None:
    """Let moto create our resource types, and repair its engine. Repeated calls change nothing."""
    stacks.install(_MODELS)
    change_sets.install()
    termination_protection.install()
