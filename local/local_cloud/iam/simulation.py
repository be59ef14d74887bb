"""SimulatePrincipalPolicy, which moto lacks: the evaluation that the embedded cloud makes for calls, without a call.

A role's policies and its permissions boundary are evaluated, for each action on each resource, under the given
condition keys alone (IAM API reference, SimulatePrincipalPolicy). Resource policies are not read.
"""

from typing import Any

from moto.core.responses import ActionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse

from local_cloud.aws_requests import parameters_of
from local_cloud.iam.policies import Context, Decision, decide
from local_cloud.iam.role_policies import documents_of


def install() -> None:
    """Add the operation to moto's IAM."""
    IamResponse.simulate_principal_policy = _simulate


def _simulate(self: Any) -> ActionResult:
    parameters = parameters_of(self, "SimulatePrincipalPolicy")
    arn, account = str(parameters["PolicySourceArn"]), self.current_account
    role = next((role for role in iam_backends[account]["aws"].roles.values() if role.arn == arn), None)
    if role is None:
        raise NotFoundException(f"The role with ARN {arn} cannot be found.")
    documents, boundary = documents_of(role, account)
    context: Context = {
        entry["ContextKeyName"].lower(): list(entry.get("ContextKeyValues", ()))
        for entry in parameters.get("ContextEntries") or ()
    }
    results = []
    for action in parameters["ActionNames"]:
        for resource in parameters.get("ResourceArns") or ["*"]:
            decision = decide(documents, action, resource, context)
            within = boundary is None or decide([boundary], action, resource, context) is Decision.ALLOWED
            result: dict[str, Any] = {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": str(decision if within or decision is not Decision.ALLOWED else Decision.IMPLICIT_DENY),
                "MatchedStatements": [],
                "MissingContextValues": [],
            }
            if boundary is not None:
                result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": within}
            results.append(result)
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})
