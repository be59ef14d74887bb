"""The demo environment's Neon project, with what its service and the Lambda functions need to reach it."""

from contextlib import suppress
from typing import Any

import psycopg

from local_cloud.deployment.server import LocalCloud
from local_cloud.neon.cluster import DATABASE, Cluster
from local_cloud.neon.server import ROLE
from rollback.adapters.neon.client import NeonDatabases
from rollback.adapters.neon.http import NeonHttp
from rollback.resources.database.errors import RetryLater
from rollback.resources.database.neon import Branch
from rollback_cli.demo.database.seed import ADD_INVOICES, BILLING, IMPORT_USERS, SEED_BILLING, TENANT, seed_statements
from rollback_cli.demo.pipeline import CONNECTION_SECRET
from rollback_cli.demo.profile import APPLICATION_NAME, placeholder_values

_API_KEY_SECRET = "demo/neon-api-key"  # noqa: S105 - a name
_BRANCH = "main"


class DemoDatabase:
    """A Neon project whose default branch is protected.

    Two secrets belong to it: the API key, and the pooled connection URI that the tasks use.
    """

    def __init__(self, cloud: LocalCloud) -> None:
        """Start a Neon beside the cloud and fill its branch; takes a few seconds."""
        neon, self._secrets = cloud.neon(), cloud.client("secretsmanager")
        project = neon.create_project(prepare=_create_tables)
        self.neon = NeonDatabases(NeonHttp(lambda: neon.api_key, neon.base_url), project.id)
        self.branch_id = self.branch().id
        self.neon.update_branch(self.branch_id, protected=True)
        self.connection_secret_arn = self._create_secret(CONNECTION_SECRET, _with_application_name(self.pooled_uri()))
        self._real_values = {
            "project_id": project.id,
            "branch_id": self.branch_id,
            "api_key_secret_arn": self._create_secret(_API_KEY_SECRET, neon.api_key),
            "api_url": neon.base_url,
            "connection_secret_arn": self.connection_secret_arn,
        }
        self._initial_address = self.address()

    def placeholder_values(self) -> dict[str, str]:
        """Map each placeholder in the cached assembly to its value in this run."""
        return placeholder_values(self._real_values)

    def branch(self, name: str = _BRANCH) -> Branch:
        """Find a branch by name.

        Raises:
            LookupError: the project has no branch of that name.
        """
        branch = self.neon.branch_named(name)
        if branch is None:
            raise LookupError(f"Neon has no branch {name}")
        return branch

    def uri(self, branch_id: str, database: str = DATABASE) -> str:
        """Return the direct connection URI of a branch; a backup branch has one once it has a compute."""
        return self.neon.connection_uri(branch_id, database, ROLE).get_secret_value()

    def pooled_uri(self) -> str:
        """Return the pooled connection URI of the branch, which the tasks use."""
        return self.neon.connection_uri(self.branch_id, DATABASE, ROLE, pooled=True).get_secret_value()

    def query(self, branch_id: str, statement: str, *values: Any, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Run a statement on a branch and return its rows."""
        tenant = f"-c app.tenant={TENANT}"  # row security shows the rows of this tenant only
        with psycopg.connect(self.uri(branch_id, database), autocommit=True, options=tenant) as session:
            return session.execute(statement.encode(), values).fetchall()

    def ensure_compute(self, branch_id: str) -> bool:
        """Return whether a backup branch has a compute; ask Neon for one if not.

        An operator does the same to look into a backup: the compute of the data loss report was deleted.
        """
        with suppress(RetryLater):  # Neon is busy: the caller asks again
            if self.neon.endpoints(branch_id):
                return True
            self.neon.create_endpoint(branch_id)
        return False

    def write_from_other_systems(self) -> None:
        """Write to the service's database and to another database of the same branch, then disconnect."""
        for database, statement in ((DATABASE, IMPORT_USERS), (BILLING, ADD_INVOICES)):
            with psycopg.connect(self.uri(self.branch_id, database), autocommit=True) as session:
                session.execute(statement.encode())

    def address(self) -> tuple[str, tuple[str, ...], str]:
        """Return what a rollback must not change: the branch's id, its hosts, and the tasks' connection URI."""
        branch = self.branch()
        hosts = tuple(sorted(endpoint.host for endpoint in self.neon.endpoints(branch.id)))
        secret = self._secrets.get_secret_value(SecretId=self.connection_secret_arn)["SecretString"]
        return branch.id, hosts, str(secret)

    @property
    def is_address_unchanged(self) -> bool:
        """Whether the address is the one that the demo environment began with."""
        return self.address() == self._initial_address

    def _create_secret(self, name: str, value: str) -> str:
        arn: str = self._secrets.create_secret(Name=name, SecretString=value)["ARN"]
        return arn


def _with_application_name(uri: str) -> str:
    """Add the name that the application's sessions have in `pg_stat_activity`."""
    return f"{uri}{'&' if '?' in uri else '?'}application_name={APPLICATION_NAME}"


def _create_tables(cluster: Cluster) -> None:
    """Create the second database from the first while that is empty, then fill both."""
    with cluster.connect(DATABASE) as admin:
        admin.execute(f"CREATE DATABASE {BILLING} TEMPLATE {DATABASE} OWNER {ROLE}".encode())
    for database, statements in ((DATABASE, seed_statements()), (BILLING, SEED_BILLING)):
        with cluster.connect(database) as session:
            session.execute(f"SET ROLE {ROLE}; {statements}".encode())
