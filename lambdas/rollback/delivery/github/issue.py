"""One issue per rollback: created once, updated, and closed after a success.

GitHub has no key that makes the creation of an issue idempotent, and its lists show a new issue seconds to minutes
later. So after a creation without an answer, a missing issue is created only once the lists have had time to show it.
The error of each attempt carries the time of that creation on to the next attempt.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from rollback.delivery.github.issue_body import (
    cause_marker,
    comment_body,
    comment_marker,
    fenced,
    is_closed_on_success,
    is_issue_of,
    is_left_to_successor,
    is_of_cause,
    issue_body,
    issue_title,
    without_row_keys,
)
from rollback.delivery.github.ports import GitHubPorts
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.ledger.page_count import aggregation_key
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.settings.github import IssueSettings
from rollback.errors import CallRefused, ExternalServiceError, RefusalKind, Throttled
from rollback.reports.execution_link import execution_link
from rollback.reports.report import message
from rollback.resources.github.issue import Issue, IssueContent

LIST_DELAY = timedelta(minutes=10)  # observed: seconds, and 8 minutes while GitHub was degraded (docs/github.md)
_CAUSE_AGE = timedelta(days=30)  # an older open issue is no discussion of the present alarm
_CLOCK_SKEW = timedelta(hours=1)
_CONCLUDED = "concluded"
_UNSETTLED = re.compile(r"an issue may have been created at (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")
Render = Callable[[Rollback, ServiceSettings, GitHubPorts], str]


def text_report(rollback: Rollback, service: ServiceSettings, ports: GitHubPorts) -> str:
    """Return the text report as a code block, without keys of removed rows."""
    del ports
    return fenced(message(without_row_keys(rollback), service))


class IssueChannel:
    """Channel that reports each rollback in an issue of its own.

    A dry run, a drill and a plan of observe mode get none. A suppressed rollback gets a comment, if an issue of its
    cause is open. So does a refused one that a trigger started; else it gets an issue.

    Args:
        render: the report in Markdown, in which foreign text is harmless.
    """

    name: Channel = Channel.ISSUE

    def __init__(self, render: Render = text_report) -> None:
        self._render = render

    def key(self, rollback: Rollback, ports: GitHubPorts) -> str | None:
        """Name the state that the issue shows. None: no issue is configured, or nothing is to be shown yet."""
        if _settings(ports) is None or rollback.never_acts or rollback.is_drill:
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
            return _comment(rollback, settings, ports) or "no comment: no issue of this cause is open"
        unsettled_since = _unsettled_since(last)
        try:
            known = self._look_for(rollback, last, settings, ports)
        except ExternalServiceError as failure:
            raise _carrying(failure, unsettled_since) from failure
        if isinstance(known, str):
            return known
        content = self._content(rollback, settings, ports)
        if known is None and unsettled_since is None and _repeats_a_page(rollback):
            answer = _comment(rollback, settings, ports)
            if answer is not None:
                return answer
        if known is None and is_left_to_successor(rollback):
            _require_settled(rollback, unsettled_since, ports.clock.now())
            return f"no issue: {rollback.taken_over_by} reports"
        if known is None:
            known, unsettled_since = _create(content, rollback, unsettled_since, ports), ports.clock.now()
        try:
            self._update(known, content, rollback, last, settings, ports)
        except ExternalServiceError as failure:  # the next attempt may not see an issue that was created just now
            raise _carrying(failure, unsettled_since) from failure
        return f"#{known.number}"

    def _look_for(
        self, rollback: Rollback, last: Delivery | None, settings: IssueSettings, ports: GitHubPorts
    ) -> Issue | str | None:
        """Look for the issue by its number, then by its marker. A text says that people deleted it."""
        number = _number(last.reference if last is not None else "")
        known = ports.github.issue(number) if number is not None else None
        known = known or _find(rollback, settings, ports)
        return f"#{number}, which was deleted" if known is None and number is not None else known

    def _content(self, rollback: Rollback, settings: IssueSettings, ports: GitHubPorts) -> IssueContent:
        service = ports.settings.service(rollback.service_name)
        report = self._render(rollback, service, ports) if rollback.outcome is not None else ""
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
    ) -> None:
        """Bring text and state up to date. An issue that people opened again after the success stays open."""
        was_concluded = last is not None and f":{_CONCLUDED}:" in (last.delivered_key or "")
        close = settings.close_on_success and is_closed_on_success(rollback) and not was_concluded
        close = close and known.state == "open"
        is_current = known.title == content.title and known.body.replace("\r\n", "\n") == content.body
        if close or not is_current:
            ports.github.update_issue(known.number, content, close=close)


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


def _unsettled_since(last: Delivery | None) -> datetime | None:
    """Return when an earlier attempt may have created an issue that GitHub's list did not show; None: none did.

    The error of the last attempt says so. An attempt without a recorded error died, or was about another key.
    """
    if last is None or last.attempted_at is None:
        return None
    if last.delivered_at is not None and last.delivered_at >= last.attempted_at:
        return None
    if last.attempts > 0 and last.claimed_until is None:
        match = _UNSETTLED.search(last.last_error)
        return datetime.fromisoformat(match[1]) if match is not None else None
    return last.attempted_at


def _carrying(failure: ExternalServiceError, since: datetime | None) -> ExternalServiceError:
    """Return the error with the time of an unsettled creation in front, which the next attempt reads."""
    if since is not None:
        failure.args = (f"an issue may have been created at {since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}; {failure}",)
    return failure


def _require_settled(rollback: Rollback, unsettled_since: datetime | None, now: datetime) -> None:
    """Require that GitHub's lists have had time to show an issue that an earlier attempt may have created."""
    if unsettled_since is not None and now - unsettled_since < LIST_DELAY:
        text = f"GitHub's list does not show the issue of {rollback.id}; it is looked for again"
        raise _carrying(ExternalServiceError(text), unsettled_since)


def _create(content: IssueContent, rollback: Rollback, unsettled_since: datetime | None, ports: GitHubPorts) -> Issue:
    """Create the issue, unless an earlier attempt may have done so. A wrong assignee does not prevent it."""
    now = ports.clock.now()
    _require_settled(rollback, unsettled_since, now)
    try:
        try:
            return ports.github.create_issue(content)
        except CallRefused as refused:
            if not content.assignees or refused.kind is not RefusalKind.REQUEST:
                raise
            return ports.github.create_issue(content.model_copy(update={"assignees": ()}))
    except (CallRefused, Throttled):  # nothing was done
        raise
    except ExternalServiceError as failure:
        raise _carrying(failure, now) from failure


def _repeats_a_page(rollback: Rollback) -> bool:
    """Whether pages about the rollback are counted together: its trigger may come back all night."""
    return rollback.outcome is Outcome.REFUSED and aggregation_key(rollback) is not None


def _comment(rollback: Rollback, settings: IssueSettings, ports: GitHubPorts) -> str | None:
    """Comment on the open issue of the same cause, once for each rollback. None: no such issue is open."""
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
        return None
    own = comment_marker(rollback.id)
    if not any(comment.body.startswith(own) for comment in ports.github.comments(open_issue.number)):
        ports.github.add_comment(open_issue.number, comment_body(rollback))
    return f"comment on #{open_issue.number}"
