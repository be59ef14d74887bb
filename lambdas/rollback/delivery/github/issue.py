"""One issue per rollback: created once, updated, and closed after a success.

GitHub has no key that makes the creation of an issue idempotent, and its lists show a new issue seconds to minutes
later. So after any earlier attempt a missing issue is created only once the lists have had time to show it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from rollback.delivery.github.issue_body import (
    cause_marker,
    comment_body,
    comment_marker,
    fenced,
    is_closed_on_success,
    is_issue_of,
    is_of_cause,
    issue_body,
    issue_title,
)
from rollback.delivery.github.ports import GitHubPorts
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.settings.github import IssueSettings
from rollback.errors import CallRefused, ExternalServiceError, RefusalKind
from rollback.reports.execution_link import execution_link
from rollback.reports.report import message
from rollback.resources.github.issue import Issue, IssueContent

LIST_DELAY = timedelta(minutes=10)  # observed: seconds, and 8 minutes while GitHub was degraded (docs/github.md)
_CAUSE_AGE = timedelta(days=30)  # an older open issue is no discussion of the present alarm
_CLOCK_SKEW = timedelta(hours=1)
_CONCLUDED = "concluded"
Render = Callable[[Rollback, ServiceSettings], str]


def text_report(rollback: Rollback, service: ServiceSettings) -> str:
    """Return the text report as a code block."""
    return fenced(message(rollback, service))


class IssueChannel:
    """Channel that reports each rollback in an issue of its own.

    A dry run and a plan of observe mode get none. A suppressed rollback gets a comment, if an issue of its cause is
    open.

    Args:
        render: the report in Markdown, in which foreign text is harmless.
    """

    name: Channel = Channel.ISSUE

    def __init__(self, render: Render = text_report) -> None:
        self._render = render

    def key(self, rollback: Rollback, ports: GitHubPorts) -> str | None:
        """Name the state that the issue shows. None: no issue is configured, or nothing is to be shown yet."""
        if _settings(ports) is None or rollback.never_acts:
            return None
        match rollback.outcome:
            case None:
                return f"{rollback.evaluations}:open" if _will_act(rollback) else None
            case Outcome.PLANNED:
                return None
            case Outcome.SUPPRESSED:
                return "suppressed" if rollback.event is not None else None
            case _:
                return f"{rollback.evaluations}:{_CONCLUDED}:{rollback.result_key}"

    def send(self, rollback: Rollback, last: Delivery | None, ports: GitHubPorts) -> str:
        """Create or update the issue, and close it after a success. Returns the issue's number.

        Raises:
            CallRefused: issues are disabled, or the credential may not write them.
            ExternalServiceError: GitHub did not answer; or an earlier attempt may have created the issue, and GitHub's
                list does not show it yet.
        """
        settings = _settings(ports)
        if settings is None:
            return "no issue is configured"
        if rollback.outcome is Outcome.SUPPRESSED:
            return _comment(rollback, settings, ports)
        number = _number(last.reference if last is not None else "")
        known = ports.github.issue(number) if number is not None else None
        if known is None:
            known = _find(rollback, settings, ports)
        if known is None and number is not None:
            return f"#{number}, which was deleted"
        content = self._content(rollback, settings, ports)
        if known is None:
            if not _may_create(last, ports.clock.now()):
                raise ExternalServiceError(
                    f"an earlier attempt may have created the issue of {rollback.id}; GitHub's list does not show it "
                    "yet, and it is looked for again"
                )
            known = _create(content, ports)
        return f"#{self._update(known, content, rollback, last, settings, ports)}"

    def _content(self, rollback: Rollback, settings: IssueSettings, ports: GitHubPorts) -> IssueContent:
        service = ports.settings.service(rollback.service_name)
        report = self._render(rollback, service) if rollback.outcome is not None else ""
        return IssueContent(
            title=issue_title(rollback),
            body=issue_body(rollback, report, execution_link(rollback.execution)),
            labels=settings.labels,
            assignees=settings.assignees,
        )

    def _update(
        self,
        known: Issue,
        content: IssueContent,
        rollback: Rollback,
        last: Delivery | None,
        settings: IssueSettings,
        ports: GitHubPorts,
    ) -> int:
        """Bring text and state up to date. An issue that people opened again after the success stays open."""
        was_concluded = last is not None and f":{_CONCLUDED}:" in (last.delivered_key or "")
        close = settings.close_on_success and is_closed_on_success(rollback) and not was_concluded
        close = close and known.state == "open"
        is_current = known.title == content.title and known.body.replace("\r\n", "\n") == content.body
        if close or not is_current:
            ports.github.update_issue(known.number, content, close=close)
        return known.number


def _settings(ports: GitHubPorts) -> IssueSettings | None:
    return ports.settings.github.issue if ports.settings.github is not None else None


def _will_act(rollback: Rollback) -> bool:
    """Whether a plan stands that the rollback carries out, or asks approval for."""
    plan = rollback.plan
    has_target = plan is not None and (plan.target is not None or plan.database is not None)
    return plan is not None and has_target and not plan.refusals(forced=rollback.is_forced_by_operator)


def _number(reference: str) -> int | None:
    """Read the number of the rollback's own issue; None: the reference names none."""
    digits = reference.removeprefix("#").partition(",")[0]
    return int(digits) if reference.startswith("#") and digits.isdecimal() and digits.isascii() else None


def _find(rollback: Rollback, settings: IssueSettings, ports: GitHubPorts) -> Issue | None:
    """Find the rollback's issue by its marker; of several, the oldest."""
    since = rollback.created_at - _CLOCK_SKEW
    listed = ports.github.issues(settings.labels[0], since)
    return min(
        (issue for issue in listed if is_issue_of(issue.body, rollback.id)),
        key=lambda issue: issue.number,
        default=None,
    )


def _may_create(last: Delivery | None, now: datetime) -> bool:
    """Whether no earlier attempt can have created an issue that the lists don't show yet.

    Attempts that failed since then are followed by ever longer waits, so a late creation has been listed too.
    """
    if last is None:
        return True
    return last.first_failed_at is not None and now - last.first_failed_at >= LIST_DELAY


def _create(content: IssueContent, ports: GitHubPorts) -> Issue:
    """Create the issue; an assignee who left the team does not prevent it."""
    try:
        return ports.github.create_issue(content)
    except CallRefused as refused:
        if not content.assignees or refused.kind is not RefusalKind.REQUEST:
            raise
        return ports.github.create_issue(content.model_copy(update={"assignees": ()}))


def _comment(rollback: Rollback, settings: IssueSettings, ports: GitHubPorts) -> str:
    """Comment on the open issue of the same cause, once for each suppressed rollback."""
    marker = cause_marker(rollback)
    open_issue = next(
        (
            issue
            for issue in ports.github.issues(settings.labels[0], rollback.created_at - _CAUSE_AGE)
            if issue.state == "open" and is_of_cause(issue.body, marker) and not is_issue_of(issue.body, rollback.id)
        ),
        None,
    )
    if open_issue is None:
        return "no comment: no issue of this cause is open"
    own = comment_marker(rollback.id)
    if not any(comment.body.startswith(own) for comment in ports.github.comments(open_issue.number)):
        ports.github.add_comment(open_issue.number, comment_body(rollback))
    return f"comment on #{open_issue.number}"
