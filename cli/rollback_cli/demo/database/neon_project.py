"""The stage's database: a Neon project as a team has one, with what its service and our functions need to reach it."""

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
from rollback_cli.demo.data import ADD_INVOICES, BILLING, IMPORT_USERS, SEED_BILLING, TENANT, seed
from rollback_cli.demo.pipeline import CONNECTION_SECRET
from rollback_cli.demo.profile import APPLICATION_NAME, placeholder_values

_API_KEY_SECRET = "stage/neon-api-key"  # noqa: S105 - a name
_BRANCH = "main"


class DemoDatabase:
    """The project's default branch is protected; the tasks' connection URI, pooled, and the API key are secrets."""

    def __init__(self, cloud: LocalCloud) -> None:
        """Starts a Neon beside the cloud, with all that the branch holds from the beginning: a few seconds."""
        neon, self._secrets = cloud.neon(), cloud.client("secretsmanager")
        project = neon.create_project(prepare=_create_tables)
        self.databases = NeonDatabases(NeonHttp(lambda: neon.api_key, neon.base_url), project.id)
        self.branch_id = self.branch().id
        self.databases.update_branch(self.branch_id, protected=True)
        self.connection_secret_arn = self._secret(CONNECTION_SECRET, _with_application_name(self.pooled_uri()))
        self._real = {
            "project_id": project.id,
            "branch_id": self.branch_id,
            "api_key_secret_arn": self._secret(_API_KEY_SECRET, neon.api_key),
            "api_url": neon.base_url,
            "connection_secret_arn": self.connection_secret_arn,
        }
        self._initial_address = self.address()

    def placeholder_values(self) -> dict[str, str]:
        """The settings that are other ones each time, by what stands for them in the stacks that are kept."""
        return placeholder_values(self._real)

    def branch(self, name: str = _BRANCH) -> Branch:
        """Raises LookupError: there is none of that name."""
        found = self.databases.branch_named(name)
        if found is None:
            raise LookupError(f"Neon has no branch {name}")
        return found

    def uri(self, branch_id: str, database: str = DATABASE) -> str:
        """A branch's, direct; of the backup, once it has a compute."""
        return self.databases.connection_uri(branch_id, database, ROLE).get_secret_value()

    def pooled_uri(self) -> str:
        """The branch's through its pooler, as the tasks are told to connect."""
        return self.databases.connection_uri(self.branch_id, DATABASE, ROLE, pooled=True).get_secret_value()

    def query(self, branch_id: str, statement: str, *values: Any, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """What a statement tells on a branch."""
        tenant = f"-c app.tenant={TENANT}"  # whose rows row security lets be seen
        with psycopg.connect(self.uri(branch_id, database), autocommit=True, options=tenant) as session:
            return session.execute(statement.encode(), values).fetchall()

    def ensure_compute(self, branch_id: str) -> bool:
        """Whether a backup has a compute, as an operator gives it one to look into it; the account's own is deleted."""
        with suppress(RetryLater):  # Neon is busy: asked again
            if self.databases.endpoints(branch_id):
                return True
            self.databases.create_endpoint(branch_id)
        return False

    def write_from_other_systems(self) -> None:
        """Write to the service's database and to another one on the same branch, and disconnect again."""
        for database, statement in ((DATABASE, IMPORT_USERS), (BILLING, ADD_INVOICES)):
            with psycopg.connect(self.uri(self.branch_id, database), autocommit=True) as session:
                session.execute(statement.encode())

    def address(self) -> tuple[str, tuple[str, ...], str]:
        """What must outlive a rollback: the branch's id, its hosts, and what the tasks are told to connect to."""
        branch = self.branch()
        hosts = tuple(sorted(endpoint.host for endpoint in self.databases.endpoints(branch.id)))
        secret = self._secrets.get_secret_value(SecretId=self.connection_secret_arn)["SecretString"]
        return branch.id, hosts, str(secret)

    @property
    def is_address_unchanged(self) -> bool:
        """Whether it is what it was when the stage was put up."""
        return self.address() == self._initial_address

    def _secret(self, name: str, value: str) -> str:
        arn: str = self._secrets.create_secret(Name=name, SecretString=value)["ARN"]
        return arn


def _with_application_name(uri: str) -> str:
    """With the name that the application's sessions have."""
    return f"{uri}{'&' if '?' in uri else '?'}application_name={APPLICATION_NAME}"


def _create_tables(cluster: Cluster) -> None:
    """The second database while the first is empty, then what each holds."""
    with cluster.connect(DATABASE) as admin:
        admin.execute(f"CREATE DATABASE {BILLING} TEMPLATE {DATABASE} OWNER {ROLE}".encode())
    for database, statements in ((DATABASE, seed()), (BILLING, SEED_BILLING)):
        with cluster.connect(database) as session:
            session.execute(f"SET ROLE {ROLE}; {statements}".encode())
