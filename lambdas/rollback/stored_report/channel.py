"""The channel of stored reports: HTML for people, JSON to render again, Markdown to paste."""

from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.rollback import Rollback
from rollback.incident.gather import gather_evidence
from rollback.ports.all_ports import AllPorts
from rollback.rendering.html import render_html
from rollback.rendering.markdown import render_markdown
from rollback.reports.document.build import build_document, rebuild_with_traffic
from rollback.reports.document.model import ReportDocument
from rollback.reports.report import report_id
from rollback.stored_report.link import report_key
from rollback.stored_report.stored_document import read_stored_document


class StoredReport:
    """Store the account after the conclusion, and again after the data loss report."""

    name: Channel = Channel.STORED_REPORT

    def key(self, rollback: Rollback, ports: AllPorts) -> str | None:
        """Return the identity of the report; None: the rollback goes on, or the environment stores no reports."""
        if rollback.concluded_at is None or not ports.report_store.is_available():
            return None
        return report_id(rollback)

    def send(self, rollback: Rollback, last: Delivery | None, ports: AllPorts) -> str:
        """Store the account. The page is stored last: its link never shows a page without the other forms."""
        document = current_document(rollback, ports, has_stored=last is not None)
        forms = (
            ("json", "application/json", document.model_dump_json(indent=1)),
            ("md", "text/markdown", render_markdown(document)),
            ("html", "text/html", render_html(document)),
        )
        for suffix, content_type, text in forms:
            ports.report_store.put(report_key(rollback, suffix), content_type, text)
        return report_key(rollback, "html")


def current_document(rollback: Rollback, ports: AllPorts, *, has_stored: bool) -> ReportDocument:
    """Build the account from evidence of now. Traffic that CloudWatch no longer has comes from the stored account.

    Args:
        rollback: the rollback's document.
        ports: access to the evidence and to the stored account.
        has_stored: whether an account may be stored.
    """
    evidence = gather_evidence(rollback, ports.with_short_timeouts())
    document = build_document(rollback, ports.settings.service(rollback.service_name), evidence)
    if document.traffic.is_measured or not has_stored or not ports.report_store.is_available():
        return document
    stored = read_stored_document(rollback, ports)
    if stored is None or not stored.traffic.is_measured:
        return document
    return rebuild_with_traffic(document, stored.traffic, rollback)
