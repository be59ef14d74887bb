"""Identity of the person who starts or decides a rollback, as AWS STS reports it.

STS names a role's session `arn:aws:sts::<account>:assumed-role/<role>/<session>`. That ARN leaves out the path of the
role: `role/teams/OnCall` becomes `assumed-role/OnCall`. So a pattern of a role has no path either.
See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html.
"""

import re

from pydantic import BaseModel, ConfigDict

from rollback.text import REQUESTER_LIMIT, one_line

_ASSUMED_ROLE = re.compile(
    r"arn:(?P<partition>[^:]+):sts::(?P<account>\d+):assumed-role/(?P<role>[^/]+)/(?P<session>.+)"
)
_UNVERIFIED = "unverified: "


class Identity(BaseModel):
    """A person's principal in AWS.

    Attributes:
        arn: ARN of a user, or of a role's session; a name in any other form if it is not verified.
        account: account of the principal; empty if it is not known.
        user_id: unique id of the principal; empty if it is not known.
        is_verified: AWS STS confirmed the principal; False: the person only claims it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    arn: str
    account: str = ""
    user_id: str = ""
    is_verified: bool = False

    @classmethod
    def unverified(cls, name: str) -> "Identity":
        """Return an identity that a person claims, without a proof."""
        return cls(arn=one_line(name.strip(), REQUESTER_LIMIT) or "unknown")

    def __str__(self) -> str:
        """The ARN; a claimed name begins with `unverified:`."""
        return self.arn if self.is_verified else f"{_UNVERIFIED}{self.arn}"

    @property
    def principals(self) -> tuple[str, ...]:
        """ARNs that a pattern may match: its own, and for a role's session the role's, without its path."""
        session = _ASSUMED_ROLE.fullmatch(self.arn)
        if session is None:
            return (self.arn,)
        role = f"arn:{session['partition']}:iam::{session['account']}:role/{session['role']}"
        return self.arn, role

    def matches(self, patterns: tuple[str, ...]) -> bool:
        """Whether one of the patterns names this principal; `*` stands for any characters, also none."""
        expressions = [re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL) for pattern in patterns]
        return any(expression.fullmatch(principal) for expression in expressions for principal in self.principals)

    def is_same_person(self, other: "Identity") -> bool:
        """Whether both are one principal, or sessions of one name in two roles of one account.

        A person may have several roles, such as the pipeline's for a start and for a decision. The session's name is
        the person's: IAM Identity Center sets it to the user's, the workflows to the GitHub login. A person who may
        choose the names of sessions can appear as two persons; a trust policy with `sts:RoleSessionName` prevents that.
        """
        return self.arn == other.arn or (self._session is not None and self._session == other._session)

    @property
    def _session(self) -> tuple[str, str] | None:
        """Account and name of a role's session, in lower case as GitHub compares logins; None: no session of a role."""
        session = _ASSUMED_ROLE.fullmatch(self.arn)
        return (session["account"], session["session"].lower()) if session is not None else None
