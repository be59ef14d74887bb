"""A rollback together with the data-loss analysis that its database part has."""

from dataclasses import dataclass

from rollback.domain.database.data_loss_analysis import DataLossAnalysis
from rollback.domain.database.progress import DatabaseProgress
from rollback.domain.rollback import Rollback
from rollback.errors import InvalidRequest


@dataclass(frozen=True)
class OpenAnalysis:
    """A rollback whose data loss is being analysed or reported."""

    rollback: Rollback
    progress: DatabaseProgress
    analysis: DataLossAnalysis

    @classmethod
    def of(cls, rollback: Rollback) -> "OpenAnalysis":
        """The analysis of a rollback.

        Raises:
            InvalidRequest: the rollback has none; the route leads here only with one.
        """
        if rollback.database is None or rollback.database.data_loss_analysis is None:
            raise InvalidRequest(f"{rollback.id} has no data-loss analysis: no data loss is compared or reported")
        return cls(rollback, rollback.database, rollback.database.data_loss_analysis)

    def save(self, analysis: DataLossAnalysis, wait_seconds: int = 0) -> Rollback:
        """The rollback with the analysis replaced."""
        return self.rollback.evolve(
            database=self.progress.evolve(data_loss_analysis=analysis), wait_seconds=wait_seconds
        )
