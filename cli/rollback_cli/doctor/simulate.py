"""Ask IAM, by SimulatePrincipalPolicy, whether a role may do what it needs. Nothing is called on the resources.

The simulation reads the role's own policies, its permissions boundary and the organisation's policies. It reads no
resource policy (IAM API reference, SimulatePrincipalPolicy).
"""

from collections.abc import Iterable, Mapping

from rollback_cli.doctor.aws_api import AwsApi
from rollback_cli.doctor.required_permissions import Need

_ALLOWED = "allowed"
_Context = tuple[tuple[str, tuple[str, ...]], ...]


def denied_permissions(role_arn: str, needs: Iterable[Need], aws: AwsApi) -> list[str]:
    """List what a role may not do, as `<action> on <resource>`, with the kind of policy that decides.

    Raises:
        CallRefused: the operator may not simulate, or the role is gone.
        ExternalServiceError: IAM did not answer.
    """
    denied: dict[str, None] = {}
    for (resource, context), actions in _batches(needs).items():
        results = aws.items(
            "iam",
            "SimulatePrincipalPolicy",
            "EvaluationResults",
            PolicySourceArn=role_arn,
            ActionNames=list(actions),
            ResourceArns=[resource],
            ContextEntries=[
                {
                    "ContextKeyName": key,
                    "ContextKeyValues": list(values),
                    "ContextKeyType": "string" if len(values) == 1 else "stringList",
                }
                for key, values in context
            ],
        )
        decisions = {result["EvalActionName"]: result for result in results}
        for action in actions:
            result = decisions.get(action)
            if result is None:
                denied[f"{action} on {resource} (IAM gave no decision)"] = None
            elif result["EvalDecision"] != _ALLOWED:
                denied[f"{action} on {resource} ({_reason(result)})"] = None
    return list(denied)


def _batches(needs: Iterable[Need]) -> Mapping[tuple[str, _Context], tuple[str, ...]]:
    """Put actions on the same resource under the same conditions into one call: IAM limits the rate of simulations."""
    batches: dict[tuple[str, _Context], dict[str, None]] = {}
    for need in needs:
        context = tuple(sorted(need.context.items()))
        for resource in need.resources:
            batches.setdefault((resource, context), {}).update(dict.fromkeys(need.actions))
    return {key: tuple(actions) for key, actions in batches.items()}


def _reason(result: Mapping[str, object]) -> str:
    boundary = result.get("PermissionsBoundaryDecisionDetail") or {}
    organisation = result.get("OrganizationsDecisionDetail") or {}
    if isinstance(organisation, Mapping) and organisation.get("AllowedByOrganizations") is False:
        return "a policy of the organisation denies it"
    if isinstance(boundary, Mapping) and boundary.get("AllowedByPermissionsBoundary") is False:
        return "the permissions boundary does not allow it"
    return "an explicit deny" if result["EvalDecision"] == "explicitDeny" else "no policy allows it"
