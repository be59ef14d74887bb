"""Read the stored account of a rollback, for evidence that can't be gathered again."""

from pydantic import ValidationError

from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, ExternalServiceError
from rollback.reports.document.model import ReportDocument
from rollback.stored_report.link import LinkPorts, report_key


def read_stored_document(rollback: Rollback, ports: LinkPorts) -> ReportDocument | None:
    """Read the account that was stored last. None: there is none, or it can't be read."""
    try:
        text = ports.report_store.read(report_key(rollback, "json"))
        return ReportDocument.model_validate_json(text) if text is not None else None
    except (CallRefused, ExternalServiceError, ValidationError):
        return None
