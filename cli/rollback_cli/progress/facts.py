"""Facts of a rollback's document, in the order in which they came about, however late a reader reads the document.

Facts stay in the document. A reader prints each fact that it has not printed yet, so none is lost between two polls.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby

from rollback.check import Verdict
from rollback.domain.database.progress import DatabaseProgress
from rollback.domain.escalation import describe_escalation
from rollback.domain.plan import Plan
from rollback.domain.rollback import Rollback, Verification
from rollback.domain.service_progress import ServiceProgress
from rollback.reports.connections import format_connections
from rollback.reports.data_loss import format_data_loss
from rollback.reports.database import format_database
from rollback.schema.compatibility_check import CHECK_NAME as SCHEMA_CHECK

_NEWS_PHRASES = ("at zero tasks", "continues after")  # mark the lines of the database report that are news
_MAX_LINE_LENGTH = 160  # longer lines about a table are cut


@dataclass(frozen=True)
class Fact:
    """One fact of a document.

    Attributes:
        text: its line.
        when: tells facts with the same text apart.
        is_move: whether it is a call to AWS; consecutive calls share a line.
        phase: phase in which it came about; empty for a wait, which belongs to the present phase.
    """

    text: str
    when: object = None
    is_move: bool = False
    phase: str = field(default="", compare=False)


def progress_facts(rollback: Rollback) -> Iterator[Fact]:
    """List the facts before the outcome; none of a rollback that Admit did not let in."""
    if rollback.admitted_at is None and rollback.outcome is not None:
        return
    facts = list(_facts_so_far(rollback))
    yield from facts
    if rollback.outcome is None and rollback.reason not in {"", *(fact.text for fact in facts)}:
        yield Fact(rollback.reason)  # says what the rollback waits for


def _facts_so_far(rollback: Rollback) -> Iterator[Fact]:
    yield from (replace(fact, phase="decide") for fact in _decision_facts(rollback))
    yield from (replace(fact, phase="act") for fact in _action_facts(rollback))
    if rollback.verification is not None:
        yield from (replace(fact, phase="verify") for fact in _verification_facts(rollback.verification))


def _decision_facts(rollback: Rollback) -> Iterator[Fact]:
    yield Fact(f"started, trigger: {rollback.trigger.replace('_', ' ')}")
    if rollback.plan is not None and rollback.plan.target is not None:
        yield from _schema_facts(rollback.plan)
        yield Fact(rollback.plan.summary)


def _action_facts(rollback: Rollback) -> Iterator[Fact]:
    if rollback.database is not None:
        yield from _database_facts(rollback.database)
    if rollback.service is not None:
        yield from _service_facts(rollback.service)
    yield from (
        Fact(line.strip()) for line in format_database(rollback) if any(phrase in line for phrase in _NEWS_PHRASES)
    )
    if rollback.reconnection is not None and rollback.reconnection.ended_at is not None:
        yield from (Fact(f"connections: {line.strip()}") for line in format_connections(rollback)[1:])


def outcome_facts(rollback: Rollback) -> Iterator[Fact]:
    """State the outcome; of a rollback that acted, also that its obligations are discharged."""
    if rollback.outcome is not None:
        concluded = " and concluded" if rollback.has_acted and rollback.concluded_at is not None else ""
        yield Fact(f"{rollback.outcome}{concluded}: {rollback.reason}", phase="conclude")


def merge_lines(facts: Iterable[Fact]) -> Iterator[str]:
    """Return a line for each fact; consecutive moves share one."""
    for are_moves, group in groupby(facts, key=lambda fact: fact.is_move):
        texts = [fact.text for fact in group]
        yield from [", ".join(texts)] if are_moves else texts


def _schema_facts(plan: Plan) -> Iterator[Fact]:
    """State why a service rollback alone was not possible."""
    for check in plan.checks:
        if check.name == SCHEMA_CHECK and check.verdict is Verdict.WARN:
            yield Fact(check.reason)


def _database_facts(database: DatabaseProgress) -> Iterator[Fact]:
    """List the fence, each call to Neon, the verification by SQL, and the data loss."""
    if database.fence.head is not None:
        yield Fact(f"fenced: every task is STOPPED, no client is connected; the log ends at {database.fence.head.lsn}")
    yield from (Fact(f"database {move}", when=number) for number, move in enumerate(database.moves))
    if database.verified_at is not None:
        yield Fact("the database answers", when=database.verified_at)
    if database.data_loss is not None:
        yield from (Fact(f"data loss: {_shortened(line)}") for line in format_data_loss(database.data_loss))


def _shortened(line: str) -> str:
    return line if len(line) <= _MAX_LINE_LENGTH else f"{line[:_MAX_LINE_LENGTH]}…"


def _service_facts(service: ServiceProgress) -> Iterator[Fact]:
    """List the calls of each escalation level and why it was left; the outcome says why the last level ended."""
    moves = [Fact(move, when=number, is_move=True) for number, move in enumerate(service.moves)]
    listed_count = 0
    for number, attempt in enumerate(service.attempts):
        yield from moves[listed_count : attempt.moves_before_escalation]
        listed_count = attempt.moves_before_escalation
        later_levels = [later.escalation_level for later in service.attempts[number + 1 :]]
        next_level = [*later_levels, service.escalation_level][0]
        if next_level is not attempt.escalation_level:
            yield Fact(describe_escalation(attempt.escalation_reason, next_level), when=number)
    yield from moves[listed_count:]
    if service.done_at is not None:
        yield Fact("the service runs the target", when=service.done_at)


def _verification_facts(verification: Verification) -> Iterator[Fact]:
    good = verification.good_rounds
    if good:
        yield Fact(f"{good} good round{'s' * (good > 1)}", when=(verification.started_at, verification.rounds))
