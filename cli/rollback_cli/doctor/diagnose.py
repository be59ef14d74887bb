"""Ask all questions at once. A call that fails concerns its own question alone, and never makes a check pass."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from rollback.errors import (
    CallRefused,
    ExternalServiceError,
    RefusalKind,
    RollbackError,
    UnreadableItem,
    UnsupportedKind,
)
from rollback_cli.doctor.checks.account import account_questions
from rollback_cli.doctor.checks.alarms import alarm_questions
from rollback_cli.doctor.checks.database import database_questions
from rollback_cli.doctor.checks.entrances import entrance_questions
from rollback_cli.doctor.checks.events import event_questions
from rollback_cli.doctor.checks.notifications import notification_questions
from rollback_cli.doctor.checks.permissions import permission_questions
from rollback_cli.doctor.checks.service import service_questions
from rollback_cli.doctor.checks.stack import stack_questions
from rollback_cli.doctor.checks.targets import target_questions
from rollback_cli.doctor.examination import Examination
from rollback_cli.doctor.finding import SUPPORT_CHECK, Finding, Question, Reporter

_GROUPS: tuple[Callable[[Examination], list[Question]], ...] = (
    account_questions,
    stack_questions,
    permission_questions,
    event_questions,
    entrance_questions,
    alarm_questions,
    service_questions,
    target_questions,
    database_questions,
    notification_questions,
)
_AT_ONCE = 8


def all_questions(x: Examination) -> list[Question]:
    """List the questions of all groups, in the order of the output."""
    return [question for group in _GROUPS for question in group(x)]


def diagnose(x: Examination) -> list[Finding]:
    """Answer all questions, several at a time, in the order of the output."""
    return answer_all(all_questions(x))


def answer_all(questions: Iterable[Question]) -> list[Finding]:
    """Answer some questions, several at a time, in their order."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="doctor") as pool:
        return [finding for findings in pool.map(answer, questions) for finding in findings]


def answer(question: Question) -> list[Finding]:
    """Answer one question. An error of AWS, Neon or the ledger becomes a finding: not looked at."""
    report = Reporter(question.group, question.check)
    try:
        return list(question.ask())
    except CallRefused as refused:
        return [_refused(refused, report)]
    except (ExternalServiceError, UnreadableItem) as failure:
        return [report.not_looked_at(str(failure), "run the doctor again; if it stays, read the error")]
    except UnsupportedKind:
        to_do = f"read the check {SUPPORT_CHECK}"
        return [report.not_looked_at("no rollback can deploy a service of this kind", to_do)]
    except RollbackError as objection:  # UnsupportedService, InvalidRequest: the object is not what it must be
        return [report.failed(str(objection), "correct what the text names, then deploy again")]


def _refused(refused: CallRefused, report: Reporter) -> Finding:
    if refused.kind is RefusalKind.NOT_FOUND:
        return report.failed(f"it does not exist: {refused}", "deploy the stack again, or correct the settings")
    if refused.kind is RefusalKind.ACCESS:
        permission = refused.action or "the call"
        to_do = (
            f"allow {permission} on {refused.resource or 'the resource'} to your role (docs/doctor.md has the policy)"
        )
        return report.not_looked_at(f"access denied: {refused}", to_do)
    return report.not_looked_at(str(refused), "correct what the text names, then run the doctor again")
