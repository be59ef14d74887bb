"""Refusals of AWS in one sentence: action, resource, caller, reason and remedy.

Most denials read "User: <principal> is not authorized to perform: <action> on resource: <resource>". "Because no <type>
policy allows the <action> action" or "with an explicit deny in a <type> policy" follows, at times with the policy's
ARN. Some services leave parts out or use other words (IAM user guide, "Troubleshoot access denied error messages").
"""

import json
import re
from dataclasses import dataclass

from rollback.errors import CallRefused, RefusalKind
from rollback.text import service_message

_DENIED = re.compile(
    r"(?:User:\s*(?P<principal>\S+)\s+)?is not authorized to perform:\s*(?P<action>[\w-]+:\w+)"
    r"(?:\s+on resource:\s*(?P<resource>[^\s\"]+|\"[^\"]*\"))?"
    r"(?:\s+(?P<why>(?:because|with an explicit deny)\b.*))?",
    re.IGNORECASE | re.DOTALL,
)
_EXPLICIT = re.compile(r"with an explicit deny", re.IGNORECASE)
_NO_POLICY = re.compile(r"because no (?P<policy>.+?) allows? ", re.IGNORECASE | re.DOTALL)
_REMEDIES = {
    RefusalKind.CREDENTIALS: "log in again (`aws sso login`), and check AWS_PROFILE and this machine's clock",
    RefusalKind.NOT_FOUND: "check that name in the settings, and that account and region are the right ones",
    RefusalKind.QUOTA: "ask AWS for a higher quota, or remove what is no longer used",
    RefusalKind.REQUEST: "the same request would be refused again: correct what AWS names, then start again",
}


@dataclass(frozen=True)
class Denial:
    """Parts of an access denied message of AWS; a missing part is empty."""

    action: str
    resource: str
    principal: str
    why: str

    @classmethod
    def parse(cls, message: str) -> "Denial | None":
        """Parse a message, or return None if its wording is unknown."""
        match = _DENIED.search(message)
        if match is None:
            return None
        parts = {name: part or "" for name, part in match.groupdict().items()}
        why = service_message(parts["why"]).rstrip(".")
        return cls(parts["action"], parts["resource"].strip('".,;'), parts["principal"], why)

    @property
    def is_explicit(self) -> bool:
        """Whether a policy denies the action explicitly, which no permission overrides."""
        return _EXPLICIT.match(self.why) is not None

    @property
    def missing_policy(self) -> str:
        """Kind of the policy that lacks the permission; the role's own policy if AWS does not say."""
        match = _NO_POLICY.match(self.why)
        return match["policy"] if match is not None else "identity-based policy"


def refused(
    operation: str, on: str, code: str, message: str, kind: RefusalKind, what_happened: str = "AWS refused"
) -> CallRefused:
    """Return the error for a call that was refused for good.

    Args:
        operation: with the service's prefix, `ecs:UpdateService`.
        on: resource of the call; AWS may name the resource more exactly, or another resource.
        code: error code of AWS.
        message: message of AWS.
        kind: kind of the refusal.
        what_happened: refuser; the SDK itself refuses to send a wrong request.
    """
    denial = Denial.parse(message) if kind is RefusalKind.ACCESS else None
    action = denial.action if denial is not None else operation
    resource = (denial.resource if denial is not None else "") or on
    reason = _explain(denial, code, message)
    remedy = _permission(denial, action, resource) if kind is RefusalKind.ACCESS else _REMEDIES[kind]
    operation_text = f", for {operation} on {service_message(on)}," if action.lower() != operation.lower() else ""
    text = f"{what_happened} {action} on {service_message(resource)}{operation_text} {reason}; {remedy}"
    return CallRefused(text, action=action, resource=resource, kind=kind)


def iam_statement(action: str, resource: str, principal: str = "") -> str:
    """Return a policy statement in one line, with `*` for a resource without a known ARN.

    Args:
        action: `ecs:UpdateService`.
        resource: ARN or name.
        principal: caller to allow, in a resource-based policy.
    """
    principal_member = {"Principal": {"AWS": principal}} if principal else {}
    arn = resource if resource.startswith("arn:") else "*"
    return json.dumps({"Effect": "Allow", **principal_member, "Action": action, "Resource": arn}, separators=(",", ":"))


def _explain(denial: Denial | None, code: str, message: str) -> str:
    if denial is None:
        return f"({code}: {service_message(message)})"
    reason = f" {denial.why}" if denial.why else ""
    return f"to {_principal_name(denial.principal)}{reason} ({code})"


def _permission(denial: Denial | None, action: str, resource: str) -> str:
    if denial is not None and denial.is_explicit:
        return "an explicit deny overrides every permission: take it out of that policy, or except the caller from it"
    if denial is None:
        return f"add to the caller's policy: {iam_statement(action, resource)}"
    principal = _role_arn(denial.principal) if denial.missing_policy.startswith("resource-based") else ""
    return f"add to the {denial.missing_policy}: {iam_statement(action, resource, principal)}"


def _role_arn(principal: str) -> str:
    """Return the ARN of a session's role, since policies name the role."""
    match = re.fullmatch(r"(arn:[\w-]+):sts:(:\d+):assumed-role/([^/]+)/.*", principal)
    return f"{match[1]}:iam:{match[2]}:role/{match[3]}" if match else principal


def _principal_name(principal: str) -> str:
    """Return the name of an assumed role; a session's name says nothing about permissions."""
    _, _, role = principal.partition(":assumed-role/")
    return f"role {role.split('/')[0]}" if role else principal or "the caller"
