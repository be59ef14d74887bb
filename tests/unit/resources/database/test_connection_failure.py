"""Messages of Postgres and Neon's proxy distinguish permanent from transient connection failures."""

import pytest

from rollback.errors import RefusalKind
from rollback.resources.database.connection_failure import classify_permanent_failure

_AT = 'connection failed: connection to server at "52.1.2.3", port 5432 failed: '

# Texts of Neon's proxy: proxy/src/auth/mod.rs, proxy/src/compute.rs, proxy/src/control_plane/{errors,messages}.rs in
# https://github.com/neondatabase/neon; of its control plane: https://neon.com/docs/connect/connection-errors and
# reports of users; of Postgres: its message catalogue.
PERMANENT = (
    ("ERROR:  password authentication failed for user 'neondb_owner'", RefusalKind.CREDENTIALS),
    ('FATAL:  password authentication failed for user "app_owner"', RefusalKind.CREDENTIALS),
    ('FATAL:  role "nobody" does not exist', RefusalKind.CREDENTIALS),
    ('FATAL:  role "reporting" is not permitted to log in', RefusalKind.CREDENTIALS),
    ('FATAL:  no pg_hba.conf entry for host "10.0.0.7", user "x", database "app", no encryption',
     RefusalKind.CREDENTIALS),
    ("ERROR:  The role you're attempting to use is protected and cannot be used for password-based authentication. "
     "Please pick a different role and try again.", RefusalKind.CREDENTIALS),
    ('FATAL:  database "shop" does not exist', RefusalKind.NOT_FOUND),
    ('FATAL:  permission denied for database "app"\nDETAIL:  User does not have CONNECT privilege.',
     RefusalKind.ACCESS),
    ("ERROR:  This IP address 52.1.2.3 is not allowed to connect to this endpoint. Please add it to the allowed list "
     "in the Neon console. Make sure to check for IPv4 or IPv6 addresses.", RefusalKind.ACCESS),
    ("ERROR:  This connection is trying to access this endpoint from a blocked network.", RefusalKind.ACCESS),
    ("ERROR:  Control plane request failed: endpoint is disabled", RefusalKind.REQUEST),
    ("ERROR:  The endpoint has been disabled. Enable it using the API and retry.", RefusalKind.REQUEST),
    ("ERROR:  Your account or project has exceeded the compute time quota. Upgrade your plan to increase limits.",
     RefusalKind.QUOTA),
    ("ERROR:  Your project has exceeded the active time quota. Upgrade your plan to increase limits.",
     RefusalKind.QUOTA),
    ("ERROR:  Your project has exceeded the data transfer quota. Upgrade your plan to increase limits.",
     RefusalKind.QUOTA),
    ("ERROR:  You've exceeded the compute time for this branch. Upgrade your plan to increase limits or connect to "
     "another branch.", RefusalKind.QUOTA),
    ("ERROR:  Control plane request failed: endpoint cannot be found", RefusalKind.NOT_FOUND),
    ("ERROR:  The requested endpoint could not be found, or you don't have access to it. Please check the provided ID "
     "and try again.", RefusalKind.NOT_FOUND),
    ("ERROR:  Endpoint ID is not specified. Either please upgrade the postgres client library (libpq) for SNI support "
     "or pass the endpoint ID", RefusalKind.REQUEST),
)  # fmt: skip

PASSING = (
    "FATAL:  the database system is starting up",
    "FATAL:  the database system is shutting down",
    "FATAL:  sorry, too many clients already",
    "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
    "ERROR:  Too many connections to this endpoint. Please try again later.",
    "ERROR:  Too many connections attempts",
    "ERROR:  Failed to acquire permit to connect to the database. Too many database connection attempts are currently "
    "ongoing.",
    "ERROR:  Couldn't connect to compute node",
    "ERROR:  Control plane request failed",
    "ERROR:  Control plane request failed: endpoint is temporarily unavailable. Check your quotas and/or contact our "
    "support.",
    "ERROR:  You've exceeded the rate limit. Please wait a moment and try again.",
    "ERROR:  You have exceeded the limit of concurrently active endpoints. Please suspend some endpoints and try "
    "again.",
    "ERROR:  Your project already has running operations. Please wait until they complete, and then try again.",
    "ERROR:  Authentication timed out",
    "server closed the connection unexpectedly",
    "connection timeout expired",
    "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
    '[Errno -2] Name or service not known: "ep-cool-sun-123456.eu-west-1.aws.neon.tech"',
    'could not translate host name "ep-cool-sun-123456.eu-west-1.aws.neon.tech" to address: Name or service not known',
    'connection to server at "2a05:d014::1", port 5432 failed: Network is unreachable',
)


@pytest.mark.parametrize(("message", "kind"), PERMANENT)
def test_a_failure_that_needs_an_operator_is_permanent_and_names_the_action(message: str, kind: RefusalKind) -> None:
    failure = classify_permanent_failure(_AT + message)
    assert failure is not None
    assert failure.kind is kind
    assert failure.remedy


@pytest.mark.parametrize("message", PASSING)
def test_a_transient_connection_failure_is_not_permanent(message: str) -> None:
    assert classify_permanent_failure(_AT + message) is None


@pytest.mark.parametrize("sqlstate", ["28P01", "28000", "3D000", "42501"])
def test_a_sqlstate_of_a_wrong_role_or_database_is_permanent(sqlstate: str) -> None:
    assert classify_permanent_failure("any words", sqlstate) is not None


@pytest.mark.parametrize("sqlstate", ["08006", "08001", "53300", "57P03", "57P01", "57P05", None, "40001"])
def test_a_sqlstate_of_a_lost_busy_or_starting_server_is_transient(sqlstate: str | None) -> None:
    assert classify_permanent_failure("terminated", sqlstate) is None


def test_a_sqlstate_takes_precedence_over_the_message() -> None:
    assert classify_permanent_failure('FATAL: password authentication failed for user "x"', "57P03") is None
