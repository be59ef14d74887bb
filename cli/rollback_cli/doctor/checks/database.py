"""The Neon project and branch: what the key may read, the plan, the history window, the compute, and the last look."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from rollback.check import Check, Verdict
from rollback.database.preflight.branch_rules import (
    branch_can_be_restored,
    branch_has_compute,
    branch_is_ready,
    branch_is_root,
    find_branch,
    list_branch_names,
)
from rollback.database.preflight.restore_rules import backup_has_room
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.errors import CallRefused
from rollback.resources.database.neon import Branch, Project
from rollback_cli.doctor.examination import Examination, question
from rollback_cli.doctor.finding import Finding, Group, Question, Reporter, finding_of

_COMFORTABLE_WINDOW = timedelta(hours=24)  # a bad migration is often found the next morning
_RESTORES = frozenset({Strategy.RESTORE, Strategy.AUTO})
_CONSOLE = "correct it in Neon's console, then run the doctor again"

_Ask = Callable[[DatabaseSettings, Examination, Reporter], list[Finding] | Finding]


def database_questions(x: Examination) -> list[Question]:
    """Ask about the database; nothing is asked where the environment has none."""
    database = x.settings.database
    if database is None:
        return []
    asks: list[tuple[str, _Ask]] = [
        ("neon-key-opens-the-project", _key),
        ("neon-key-opens-no-other-project", _scope),
        ("neon-plan-has-room-for-a-backup", _plan),
        ("neon-history-is-long-enough", _history),
    ]
    if database.branch_id is not None:
        asks += [
            ("neon-branch-can-be-rolled-back", _branch),
            ("neon-branch-is-protected", _protection),
            ("neon-address-is-direct-and-known", _address),
            ("database-was-observed", _observed),
        ]
    return [question(Group.DATABASE, name, partial(ask, database, x)) for name, ask in asks]


def _key(database: DatabaseSettings, x: Examination, report: Reporter) -> Finding:
    try:
        project = x.ports.neon.project()
        branches = tuple(x.ports.neon.branches())
    except CallRefused as refused:
        to_do = f"make a key for project {database.project_id}, and store it in {database.api_key_secret_arn}"
        return report.failed(f"the key in {database.api_key_secret_arn} does not open the project: {refused}", to_do)
    return report.passed(f"the key opens {project.name} ({project.id}) and lists {len(branches)} branches")


def _scope(database: DatabaseSettings, x: Examination, report: Reporter) -> Finding:
    """Try to list projects. Neon refuses that to a key of one project, or lists that project alone."""
    try:
        projects = x.count_neon_projects()
    except CallRefused as refused:
        return report.passed(f"Neon does not let the key list projects: {type(refused).__name__}")
    if projects > 1:
        to_do = f"make a project-scoped key for {database.project_id} in Neon's console, and store it in the secret"
        return report.warned(f"the key opens {projects} projects", to_do)
    return report.passed("the key lists no other project")


def _plan(database: DatabaseSettings, x: Examination, report: Reporter) -> Finding:
    if database.strategy not in _RESTORES:
        return report.passed(f"the strategy is {database.strategy}, which needs no further root branch")
    check = backup_has_room(x.ports.neon.project(), tuple(x.ports.neon.branches()))
    return finding_of(report.group, check.model_copy(update={"name": report.check}), _CONSOLE)


def _history(database: DatabaseSettings, x: Examination, report: Reporter) -> Finding:
    project: Project = x.ports.neon.project()
    window = timedelta(seconds=project.history_retention_seconds)
    policy = x.settings.policy
    needed = timedelta(
        minutes=policy.correlation_window_minutes + database.window_margin_minutes + database.restore_timeout_minutes
    )
    seen = f"Neon keeps {window.total_seconds() / 3600:g} hours of history (plan {project.subscription_type})"
    to_do = "lengthen the history window in the settings of the Neon project"
    if database.strategy not in _RESTORES:
        return report.passed(f"{seen}; the strategy {database.strategy} does not restore to a point in time")
    if window < needed:
        minutes = needed.total_seconds() / 60
        return report.failed(f"{seen}; a rollback may need {minutes:.0f} minutes", to_do)
    return report.warned(seen, to_do) if window < _COMFORTABLE_WINDOW else report.passed(seen)


def _find(database: DatabaseSettings, x: Examination) -> tuple[Branch | None, tuple[Branch, ...]]:
    branches = tuple(x.ports.neon.branches())
    return find_branch(branches, database.branch_id), branches


def _gone(database: DatabaseSettings, branches: tuple[Branch, ...], report: Reporter) -> Finding:
    seen = f"the project has no branch {database.branch_id}; its branches: {list_branch_names(branches)}"
    return report.failed(seen, "put the id of the right branch into `database.branch_id`, and deploy")


def _branch(database: DatabaseSettings, x: Examination, report: Reporter) -> Finding:
    branch, branches = _find(database, x)
    if branch is None:
        return _gone(database, branches, report)
    endpoints = x.ports.neon.endpoints(branch.id)
    checks: list[Check] = [branch_has_compute(branch, endpoints), branch_is_ready(branch)]
    if database.strategy in _RESTORES:
        checks += [branch_is_root(branch), branch_can_be_restored(branch, endpoints)]
    if database.source_branch_id is not None:
        source = find_branch(branches, database.source_branch_id)
        name = f"the source {database.source_branch_id}"
        checks.append(Check.failed_if(None if source else f"{name} does not exist", "source-exists", f"{name} exists"))
    problems = [check.reason for check in checks if check.verdict is Verdict.FAIL]
    seen = f"{branch.name} ({branch.id}) is {branch.current_state}, with {len(endpoints)} computes"
    return report.judged(dict.fromkeys(problems), seen, _CONSOLE)


def _protection(database: DatabaseSettings, x: Examination, report: Reporter) -> Finding:
    branch, branches = _find(database, x)
    if branch is None:
        return _gone(database, branches, report)
    if branch.protected:
        return report.passed(f"{branch.name} is protected; a restore takes the protection off, and puts it back")
    to_do = f"protect {branch.name} in Neon's console: anyone with access may delete or reset it now"
    return report.warned(f"{branch.name} is not protected", to_do)


def _address(database: DatabaseSettings, x: Examination, report: Reporter) -> Finding:
    """Ask Neon for both URIs, which are not shown: they prove that database and role exist, and that a pooler runs."""
    branch_id = database.branch_id or ""
    try:
        direct = x.ports.neon.connection_uri(branch_id, database.database, database.role).get_secret_value()
        pooled = x.ports.neon.connection_uri(
            branch_id, database.database, database.role, pooled=True
        ).get_secret_value()
    except CallRefused as refused:
        to_do = "correct `database.database` and `database.role` in the settings, or the scope of the key"
        return report.failed(
            f"Neon gives no connection URI for role {database.role} and database {database.database}: {refused}", to_do
        )
    hosts = _host(direct), _host(pooled)
    seen = f"role {database.role} has the database {database.database} at {hosts[0]}; the pooler is at {hosts[1]}"
    if "-pooler" in hosts[0].partition(".")[0]:
        return report.failed(
            f"{seen}: the direct address is a pooler's", "report this: the product needs a direct address"
        )
    return report.passed(seen)


def _host(uri: str) -> str:
    """Return the host of a URI, without user and password."""
    return uri.rpartition("@")[2].partition("/")[0].partition(":")[0]


def _observed(database: DatabaseSettings, x: Examination, report: Reporter) -> list[Finding]:
    """Repeat the last observation's checks, with its age."""
    observation = x.ports.ledger.observation(database.branch_key(None))
    log = f"read the log of {x.function_name('database')}"
    if observation is None:
        return [
            report.warned("the database was never observed", f"wait {database.observe_minutes:g} minutes; then {log}")
        ]
    minutes = (x.now() - observation.observed_at).total_seconds() / 60
    seen = f"the database function observed the branch {minutes:.0f} minutes ago"
    late = minutes > 2 * database.observe_minutes + 5
    findings = [report.failed(seen, log) if late else report.passed(seen)]
    probe = x.ports.ledger.database_probe(database.branch_key(None))
    if probe is not None and not probe.has_answered:
        answers = Reporter(report.group, "database-answers")
        findings.append(answers.failed(f"Postgres did not answer at {probe.at:%Y-%m-%d %H:%M} UTC", log))
    for check in observation.readiness:
        suffix = f" ({check.evidence.get('service')})" if check.evidence.get("service") else ""
        if check.verdict is not Verdict.PASS:
            findings.append(finding_of(report.group, check, _CONSOLE, suffix=suffix))
    return findings
