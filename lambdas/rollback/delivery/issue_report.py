"""The report in an issue: the brief written account, then the whole text report as a code block.

The account has no link: a link ends after an hour, and an issue stays. Evidence of checks and the difference of the
task definitions stay out too, because a repository may have more readers than the environment (decision 43). So do keys
of lost rows.
"""

from rollback.delivery.github.issue import text_report
from rollback.delivery.github.issue_body import without_row_keys
from rollback.delivery.github.ports import GitHubPorts
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.rendering.markdown import render_markdown
from rollback.reports.document.build import build_document, rebuild_with_traffic
from rollback.reports.document.model import Evidence, ReportDocument
from rollback.stored_report.stored_document import read_stored_document

_TRAFFIC_REMARK = "this environment has no stored report with the load balancer's metrics"


def issue_report(rollback: Rollback, service: ServiceSettings, ports: GitHubPorts) -> str:
    """Return the report in Markdown. If the account can't be rendered, the text report stands alone.

    Nothing is asked about the incident again: traffic comes from the stored account, by one read.
    """
    text = text_report(rollback, service, ports)
    rollback = without_row_keys(rollback)
    try:
        account = render_markdown(_account(rollback, service, ports), is_brief=True)
    except Exception:  # noqa: BLE001 - a defect of the account must not keep the report from people
        return text
    return f"{account.rstrip()}\n\n## Report\n\n{text}"


def _account(rollback: Rollback, service: ServiceSettings, ports: GitHubPorts) -> ReportDocument:
    document = build_document(rollback, service, Evidence(traffic_remark=_TRAFFIC_REMARK))
    stored = read_stored_document(rollback, ports) if ports.report_store.is_available() else None
    if stored is None or not stored.traffic.is_measured:
        return document
    return rebuild_with_traffic(document, stored.traffic, rollback)
