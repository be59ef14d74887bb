"""Checks of the database, in place of the database function."""

from rollback.check import Check
from rollback.domain.database.database_question import DatabaseQuestion


class FakeDatabaseChecks:
    """Answers by the fingerprint of the question; any other question passes. `asked`: the questions."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[Check, ...]] = {}
        self.asked: list[DatabaseQuestion] = []

    def check_database(self, question: DatabaseQuestion) -> tuple[Check, ...]:
        self.asked.append(question)
        usual = Check.passed("database-answers", "PostgreSQL 17.4", evidence={"database": "PostgreSQL 17.4"})
        return self.answers.get(question.fingerprint, (usual,))
