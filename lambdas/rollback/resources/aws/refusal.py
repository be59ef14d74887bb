"""AWS's refusals in one sentence: what was refused, on what, to whom, why, and what mends it.

AWS words most denials as "User: <principal> is not authorized to perform: <action> on resource: <resource>", followed
by "because no <type> policy allows the <action> action" or "with an explicit deny in a <type> policy", and the policy's
ARN at times. Some services leave parts out or word it differently (IAM user guide, "Troubleshoot access denied error
messages").
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
    RefusalKind.REQUEST: "the same request is refused again: mend what AWS names, then start again",
}


@dataclass(frozen=True)
class Denial:
    """AWS's access denied message, taken apart; what it leaves out is empty."""

    action: str
    resource: str
    principal: str
    why: str

    @classmethod
    def parse(cls, message: str) -> "Denial | None":
        """None: the message is worded another way."""
        found = _DENIED.search(message)
        if found is None:
            return None
        parts = {name: part or "" for name, part in found.groupdict().items()}
        why = service_message(parts["why"]).rstrip(".")
        return cls(parts["action"], parts["resource"].strip('".,;'), parts["principal"], why)

    @property
    def is_explicit(self) -> bool:
        """Whether a policy denies it, which no permission overrides."""
        return _EXPLICIT.match(self.why) is not None

    @property
    def missing_policy(self) -> str:
        """The kind of policy that does not allow it; a role's own where AWS does not say."""
        found = _NO_POLICY.match(self.why)
        return found["policy"] if found is not None else "identity-based policy"


def refused(
    operation: str, on: str, code: str, message: str, kind: RefusalKind, what_happened: str = "AWS refused"
) -> CallRefused:
    """The error for a call that was refused for good.

    Args:
        operation: with the service's prefix, `ecs:UpdateService`.
        on: what it was called on, as we know it; AWS may name the resource more exactly, or another one.
        what_happened: who refused; the SDK does not send what it knows to be wrong.
    """
    denial = Denial.parse(message) if kind is RefusalKind.ACCESS else None
    action = denial.action if denial is not None else operation
    resource = (denial.resource if denial is not None else "") or on
    why = _explain(denial, code, message)
    mend = _permission(denial, action, resource) if kind is RefusalKind.ACCESS else _REMEDIES[kind]
    wanted = f", for {operation} on {service_message(on)}," if action.lower() != operation.lower() else ""
    text = f"{what_happened} {action} on {service_message(resource)}{wanted} {why}; {mend}"
    return CallRefused(text, action=action, resource=resource, kind=kind)


def iam_statement(action: str, resource: str, principal: str = "") -> str:
    """One statement of a policy, in one line; `*` where the resource's ARN is not known.

    Args:
        principal: a resource's own policy says whom it allows.
    """
    whom = {"Principal": {"AWS": principal}} if principal else {}
    arn = resource if resource.startswith("arn:") else "*"
    return json.dumps({"Effect": "Allow", **whom, "Action": action, "Resource": arn}, separators=(",", ":"))


def _explain(denial: Denial | None, code: str, message: str) -> str:
    if denial is None:
        return f"({code}: {service_message(message)})"
    why = f" {denial.why}" if denial.why else ""
    return f"to {_principal_name(denial.principal)}{why} ({code})"


def _permission(denial: Denial | None, action: str, resource: str) -> str:
    if denial is not None and denial.is_explicit:
        return "an explicit deny overrides every permission: take it out of that policy, or except the caller from it"
    if denial is None:
        return f"add to the caller's policy: {iam_statement(action, resource)}"
    whom = _role_arn(denial.principal) if denial.missing_policy.startswith("resource-based") else ""
    return f"add to the {denial.missing_policy}: {iam_statement(action, resource, whom)}"


def _role_arn(principal: str) -> str:
    """Policies name the role, not its session."""
    found = re.fullmatch(r"(arn:[\w-]+):sts:(:\d+):assumed-role/([^/]+)/.*", principal)
    return f"{found[1]}:iam:{found[2]}:role/{found[3]}" if found else principal


def _principal_name(principal: str) -> str:
    """Return the name of an assumed role; a session's name says nothing about permissions."""
    _, _, role = principal.partition(":assumed-role/")
    return f"role {role.split('/')[0]}" if role else principal or "the caller"
