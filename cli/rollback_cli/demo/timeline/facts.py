"""What a rollback's document tells, in the order in which it came about, however late one looks.

The story is made of facts that stay in the document. What is news is what was not told yet, so nothing is lost between
two looks at it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from rollback.check import Verdict
from rollback.domain.database.progress import DatabaseProgress
from rollback.domain.plan import Plan
from rollback.domain.rollback import Rollback, ServiceProgress, Verification
from rollback.reports.connections import format_connections
from rollback.reports.database import format_database
from rollback.schema.refusal import CHECK_NAME as SCHEMA_CHECK

_NEWS_PHRASES = ("at zero tasks", "continues behind")  # lines of the report that are news
_MAX_LINE_LENGTH = 160  # of a line about a table


@dataclass(frozen=True)
class Fact:
    """One thing that came about; `when` tells it from others of the same text."""

    text: str
    when: object = None
    is_move: bool = False


def progress_facts(rollback: Rollback) -> Iterator[Fact]:
    """From the beginning up to how it ended; nothing of one that was turned away at the door."""
    if rollback.admitted_at is None and rollback.outcome is not None:
        return
    so_far = list(_facts_so_far(rollback))
    yield from so_far
    told = {"", *(fact.text for fact in so_far)}
    if rollback.outcome is None and rollback.reason not in told:  # what it waits for
        yield Fact(rollback.reason)


def _facts_so_far(rollback: Rollback) -> Iterator[Fact]:
    yield Fact(f"begun, trigger {rollback.trigger}")
    if rollback.plan is not None and rollback.plan.target is not None:
        yield from _schema(rollback.plan)
        yield Fact(rollback.plan.way)
    if rollback.database is not None:
        yield from _database(rollback.database)
    if rollback.service is not None:
        yield from _service(rollback.service)
    yield from (
        Fact(line.strip()) for line in format_database(rollback) if any(words in line for words in _NEWS_PHRASES)
    )
    if rollback.reconnection is not None and rollback.reconnection.ended_at is not None:
        yield from (Fact(f"connections: {line.strip()}") for line in format_connections(rollback)[1:])
    if rollback.verification is not None:
        yield from _rounds(rollback.verification)


def outcome_facts(rollback: Rollback) -> Iterator[Fact]:
    """The outcome; and of one that acted, that what it owed is put back."""
    if rollback.outcome is not None:
        closed = " and concluded" if rollback.has_acted and rollback.concluded_at is not None else ""
        yield Fact(f"{rollback.outcome}{closed}: {rollback.reason}")


def merge_lines(facts: Iterable[Fact]) -> Iterator[str]:
    """One for each fact; moves that follow each other share one."""
    for are_moves, together in groupby(facts, key=lambda fact: fact.is_move):
        texts = [fact.text for fact in together]
        yield from [", ".join(texts)] if are_moves else texts


def _schema(plan: Plan) -> Iterator[Fact]:
    """Why the service could not go back alone."""
    for check in plan.checks:
        if check.name == SCHEMA_CHECK and check.verdict is Verdict.WARN:
            yield Fact(check.reason)


def _database(database: DatabaseProgress) -> Iterator[Fact]:
    """The fence, each move, what was seen by SQL, and what it took out."""
    if database.head is not None:
        yield Fact(f"fenced: every task is STOPPED, nobody is connected; the log ends at {database.head.lsn}")
    yield from (Fact(f"database {move}", when=number) for number, move in enumerate(database.moves))
    if database.verified_at is not None:
        yield Fact("the database answers", when=database.verified_at)
    if database.lost is not None:
        yield from (Fact(f"lost writes: {_short(line)}") for line in database.lost.in_words())


def _short(line: str) -> str:
    return line if len(line) <= _MAX_LINE_LENGTH else f"{line[:_MAX_LINE_LENGTH]}…"


def _service(service: ServiceProgress) -> Iterator[Fact]:
    """The moves of each rung, and why it was left; why nothing more was tried, the outcome says."""
    moves = [Fact(move, when=number, is_move=True) for number, move in enumerate(service.moves)]
    told = 0
    for number, left in enumerate(service.tried):
        yield from moves[told : left.moves_before_escalation]
        told = left.moves_before_escalation
        following = [*(later.escalation_level for later in service.tried[number + 1 :]), service.escalation_level][0]
        if following is not left.escalation_level:
            yield Fact(f"{left.escalation_reason}: on to {following}", when=number)
    yield from moves[told:]
    if service.done_at is not None:
        yield Fact("settled", when=service.done_at)


def _rounds(verification: Verification) -> Iterator[Fact]:
    good = verification.good_rounds
    if good:
        yield Fact(f"{good} good round{'s' * (good > 1)}", when=(verification.started_at, verification.rounds))
