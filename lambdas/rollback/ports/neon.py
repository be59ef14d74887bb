"""Port to Neon. Neon accepts a change at once; the change's operations go on afterwards."""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from rollback.effects import changes_state, reads
from rollback.resources.database.neon import Branch, BranchChange, Endpoint, EndpointChange, Operation, Project
from rollback.resources.database.wal_position import Position


class NeonProject(Protocol):
    """One Neon project. Methods raise the errors of `resources.database.errors`; a change is never retried."""

    @reads
    def project(self) -> Project:
        """Return the project with its history retention."""
        ...

    @reads
    def branches(self) -> Iterator[Branch]:
        """Iterate over all branches of the project."""
        ...

    @reads
    def branch(self, branch_id: str) -> Branch | None:
        """Return a branch, or None if it does not (or no longer) exist."""
        ...

    @reads
    def branch_named(self, name: str) -> Branch | None:
        """Return the branch with exactly this name, or None."""
        ...

    @reads
    def endpoints(self, branch_id: str) -> tuple[Endpoint, ...]:
        """List the computes of a branch."""
        ...

    @reads
    def operation(self, operation_id: str) -> Operation:
        """Return an operation with its present status."""
        ...

    @reads
    def operations_since(self, since: datetime) -> tuple[Operation, ...]:
        """List the project's operations that were created at `since` or later, newest first."""
        ...

    @reads
    def connection_uri(self, branch_id: str, database: str, role: str, *, pooled: bool = False) -> SecretStr:
        """Return the connection URI of a branch, with the role's password."""
        ...

    @changes_state
    def create_branch(
        self,
        name: str,
        parent_id: str,
        at: Position | None = None,
        *,
        with_endpoint: bool = False,
        protected: bool = False,
        expires_at: datetime | None = None,
    ) -> BranchChange:
        """Create a branch from a position of its parent, or else from the parent's head.

        Args:
            name: name of the new branch.
            parent_id: id of the parent.
            at: position in the parent's history; None means its head.
            with_endpoint: create a read-write compute too.
            protected: protect the new branch.
            expires_at: when Neon deletes the branch; None keeps it.
        """
        ...

    @changes_state
    def restore(
        self,
        branch_id: str,
        source_branch_id: str,
        at: Position | None = None,
        preserve_under_name: str | None = None,
    ) -> BranchChange:
        """Overwrite a branch with a source's state, at a position or else at the source's head.

        A reset is a restore with the parent as source.

        Args:
            branch_id: branch to overwrite.
            source_branch_id: branch to copy.
            at: position in the source's history; None means its head.
            preserve_under_name: name of a new branch that keeps the overwritten state. Neon requires a name when the
                branch is its own source or has children. The children move to the new branch.
        """
        ...

    @changes_state
    def update_branch(self, branch_id: str, *, name: str | None = None, protected: bool | None = None) -> BranchChange:
        """Rename a branch, protect it or remove its protection; None leaves a value as it is."""
        ...

    @changes_state
    def expire_branch(self, branch_id: str, at: datetime | None) -> BranchChange:
        """Set the time at which Neon deletes the branch; None keeps the branch."""
        ...

    @changes_state
    def delete_branch(self, branch_id: str) -> BranchChange | None:
        """Delete a branch, or return None if it was already gone.

        Neon keeps a deleted branch for seven days.
        """
        ...

    @changes_state
    def create_endpoint(self, branch_id: str) -> EndpointChange:
        """Create a read-write compute; a branch has at most one."""
        ...

    @changes_state
    def delete_endpoint(self, endpoint_id: str) -> EndpointChange | None:
        """Delete a compute and drop its connections, or return None if it was already gone.

        The data of the branch stays.
        """
        ...

    @changes_state
    def restart_endpoint(self, endpoint_id: str) -> EndpointChange:
        """Restart a compute, which drops its connections."""
        ...
