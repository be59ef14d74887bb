"""Classification of connection failures by the text of Postgres or Neon's proxy: transient or permanent.

libpq gives only a text for a connection that fails; a running session has a SQLSTATE. The texts are from these sources:

- Neon's proxy (https://github.com/neondatabase/neon: proxy/src/auth/mod.rs, proxy/src/compute.rs and
  proxy/src/control_plane/{errors,messages}.rs).
- Neon's control plane, whose texts the proxy passes on (https://neon.com/docs/connect/connection-errors).
- Postgres (src/backend/libpq/auth.c, utils/init/postinit.c). SQLSTATEs are in PostgreSQL's appendix A.

An unknown text counts as *transient*: a starting compute has many texts, and every wait for it has a bound.
"""

import re
from dataclasses import dataclass

from rollback.errors import RefusalKind

_CHECK_ROLE = "check `role` and `database` in the settings, and that the role's password was not rotated this moment"
_CHECK_QUOTA = "raise the project's limit in Neon's console, or wait for the next billing period"


@dataclass(frozen=True)
class PermanentFailure:
    """Failure that lasts until an operator removes its cause.

    Attributes:
        kind: kind of the refusal.
        remedy: action for the operator, for the report.
    """

    kind: RefusalKind
    remedy: str


# Compared before the permanent texts, since some of these say "not", "limit" or "unavailable" too.
_TRANSIENT_MESSAGES = re.compile(
    r"too many (database )?connection"  # the proxy's limits, and Postgres's "sorry, too many clients already"
    r"|too many clients"
    r"|connection slots are reserved"
    r"|couldn't connect to compute node"
    r"|exceeded the rate limit"
    r"|limit of concurrently active endpoints|active endpoints limit exceeded"
    r"|already has running operations"
    r"|temporarily unavailable"
    r"|authentication timed out"
    r"|the database system is (starting up|shutting down|not yet accepting connections|in recovery mode)",
    re.IGNORECASE,
)

_PERMANENT_MESSAGES: tuple[tuple[str, PermanentFailure], ...] = (
    (
        r"password authentication failed|role '?\"?[^ ]+'?\"? does not exist|malformed password"
        r"|role .* is not permitted to log in|no pg_hba\.conf entry|authentication method",
        PermanentFailure(RefusalKind.CREDENTIALS, _CHECK_ROLE),
    ),
    (
        r"role you're attempting to use is protected",
        PermanentFailure(RefusalKind.CREDENTIALS, "name another `role` in the settings: Neon protects this one"),
    ),
    (
        r"database \"[^\"]*\" does not exist|database \"[^\"]*\" is not currently accepting connections",
        PermanentFailure(RefusalKind.NOT_FOUND, "check `database` in the settings"),
    ),
    (
        r"permission denied for database",
        PermanentFailure(RefusalKind.ACCESS, "grant CONNECT on the database to the `role` of the settings"),
    ),
    (
        r"is not allowed to connect to this endpoint|from a blocked network|public (internet )?(connections|access)"
        r"|blocked (public|vpc) connections|vpc endpoint .* (not|is) allowed",
        PermanentFailure(
            RefusalKind.ACCESS,
            "add the function's addresses to IP Allow in Neon's console: those of the NAT gateway of its subnets",
        ),
    ),
    (
        r"endpoint (is|has been) disabled",
        PermanentFailure(RefusalKind.REQUEST, "enable the branch's compute in Neon's console"),
    ),
    (
        r"exceeded the [a-z -]*(quota|compute time)|check your quotas",
        PermanentFailure(RefusalKind.QUOTA, _CHECK_QUOTA),
    ),
    (
        r"endpoint cannot be found|requested (endpoint|project|branch|resource) could not be found",
        PermanentFailure(RefusalKind.NOT_FOUND, "check in Neon's console that the branch still has its compute"),
    ),
    (
        r"endpoint id is not specified|connection is insecure|unsupported startup parameter",
        PermanentFailure(RefusalKind.REQUEST, "Neon does not take the connection as this version makes it: report it"),
    ),
)

_PERMANENT_SQLSTATES = {
    "28000": PermanentFailure(RefusalKind.CREDENTIALS, _CHECK_ROLE),
    "28P01": PermanentFailure(RefusalKind.CREDENTIALS, _CHECK_ROLE),
    "3D000": PermanentFailure(RefusalKind.NOT_FOUND, "check `database` in the settings"),
    "42501": PermanentFailure(RefusalKind.ACCESS, "grant what it names to the role of the connection"),
}
# 08: connection exceptions; 53: too many connections, out of memory; 57P: starting up, shutting down.
_TRANSIENT_SQLSTATES = ("08", "53", "57P")


def classify_permanent_failure(message: str, sqlstate: str | None = None) -> PermanentFailure | None:
    """Return the permanent failure that a text means, or None if the same connection may succeed later.

    Args:
        message: text of the driver's error.
        sqlstate: SQLSTATE of the driver's error; a known SQLSTATE decides alone.
    """
    if sqlstate is not None:
        if sqlstate.startswith(_TRANSIENT_SQLSTATES):
            return None
        if sqlstate in _PERMANENT_SQLSTATES:
            return _PERMANENT_SQLSTATES[sqlstate]
    # For a project in maintenance or over quota the proxy says "your quotas" with "temporarily unavailable".
    if _TRANSIENT_MESSAGES.search(message):
        return None
    return next((failure for words, failure in _PERMANENT_MESSAGES if re.search(words, message, re.IGNORECASE)), None)
