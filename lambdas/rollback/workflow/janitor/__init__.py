"""Janitor: every five minutes, finish the work that no execution continues.

Each idea has its file: abandoned rollbacks, rechecks of triggers, late reports, unfinished comparisons, the sweep.
"""

from rollback.workflow.janitor.abandoned_rollbacks import conclude_execution
from rollback.workflow.janitor.sweep_services import sweep

__all__ = ["conclude_execution", "sweep"]
