"""Port to the checks of a database branch by SQL, which only the database function or an operator's process can run."""

from typing import Protocol

from rollback.check import Check
from rollback.domain.database.database_question import DatabaseQuestion
from rollback.effects import reads


class DatabaseChecks(Protocol):
    """Checks of the environment's branch in read-only sessions."""

    @reads
    def check_database(self, question: DatabaseQuestion) -> tuple[Check, ...]:
        """Ask for version and journal, and run the statements of the settings; wait half a minute at most.

        Raises:
            ExternalServiceError: the database function did not answer.
            CallRefused: it may not be asked.
        """
        ...
