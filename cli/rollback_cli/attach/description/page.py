"""Write the page beside `cdk.json`: what was found, what is left out and why, and what the team decides."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rollback.text import one_line
from rollback_cli.attach.description.part import Decision
from rollback_cli.attach.description.section import Section
from rollback_cli.attach.found import Balancer, Found, Listener, Rule

DEFAULT_STACK_NAME = "MacroAi"  # default of the setting `application.stack_name`
_BACKTICKS = re.compile("`+")


@dataclass(frozen=True)
class Target:
    """Place of the section.

    Attributes:
        environment: name of the environment.
        stack: name of the rollback stack.
        app: command of the app, if `cdk.json` runs another one.
    """

    environment: str
    stack: str
    app: str | None = None

    @property
    def has_usual_stack(self) -> bool:
        """Whether the command finds the stack by the name of the environment alone."""
        return self.stack == usual_stack_name(self.environment)


def usual_stack_name(environment: str, stem: str = DEFAULT_STACK_NAME) -> str:
    """Return `MacroAi<Env>RollbackStack`, as `rollback_constructs.settings.environment.stack_names` does."""
    return f"{stem}{environment.title().replace('-', '')}RollbackStack"


def page(found: Found, section: Section, target: Target, now: datetime) -> str:
    """Return the page as Markdown.

    Args:
        found: facts about the service.
        section: its description.
        target: place of the section.
        now: time of the look-up.
    """
    parts = [
        f"# {_plain(section.label)} in {target.environment}: what init found",
        f"Looked up at {now:%Y-%m-%d %H:%M} UTC, read-only. A later run with `--write` replaces this page.",
        *_blockers(section),
        *_next_steps(section, target),
        "## To decide",
        *(_decision(number, decision) for number, decision in enumerate(section.decisions, 1)),
        "## Found",
        _table(("Part", "Found"), _facts(found)),
        *_left_out(section),
        *_not_read(found),
        "## The section",
        f"An element of `context.environments.{target.environment}.services`:",
        _code(section.service),
    ]
    return "\n\n".join(parts) + "\n"


def _blockers(section: Section) -> Iterator[str]:
    if section.blockers:
        yield "## Not complete"
        yield "\n".join(f"- {_plain(blocker)}" for blocker in section.blockers)


def _next_steps(section: Section, target: Target) -> Iterator[str]:
    app = f' --app "{target.app}"' if target.app else ""
    variable = "" if target.has_usual_stack else f"export ROLLBACK_STACK={target.stack}\n"
    yield "## Next"
    yield (
        f"Decide what is below, and edit `cdk.json`. The first deployment only observes. The last command makes the "
        f"release that runs now the one to go back to.\n\n"
        f"```bash\n{variable}cdk deploy {target.stack}{app}\nrollback doctor {target.environment}\n"
        f"rollback promote {target.environment} --service {section.label}\n```"
    )


def _decision(number: int, decision: Decision) -> str:
    lines = [f"### {number}. {_plain(decision.question)}", _plain(decision.advice)]
    if decision.snippet is not None:
        lines += [f"In {decision.place}:", _code(decision.snippet)]
    if decision.command is not None:
        lines.append(f"```bash\n{one_line(decision.command)}\n```")
    return "\n\n".join(lines)


def _left_out(section: Section) -> Iterator[str]:
    yield "## Left out"
    if section.left_out:
        yield _table(("Left out", "Reason"), ((one.subject, one.reason) for one in section.left_out))
    else:
        yield "Nothing that was found is left out."


def _not_read(found: Found) -> Iterator[str]:
    yield "## Not looked at"
    rows = [(unread.subject, f"`{unread.permission}`: {unread.reason}") for unread in found.unread]
    if found.sharing is not None:
        rows.append(
            ("services of other clusters", "log group, family and repository were compared in this cluster only")
        )
        if found.sharing.looked_at < found.sharing.total:
            rows.append(
                ("services of this cluster", f"{found.sharing.looked_at} of {found.sharing.total} were compared")
            )
    rows.append(("values of variables and secrets, Neon, DNS", "init asks AWS for descriptions only"))
    yield _table(("Part", "Reason"), rows)


def _facts(found: Found) -> Iterator[tuple[str, str]]:
    place = found.place
    yield "ECS service", f"`{found.cluster}/{found.ecs_service}` in {place.account}, {place.region}"
    yield "deployed by", f"stack `{found.stack}`" if found.stack else "no CloudFormation stack was found"
    yield "tasks", f"{found.service.get('desiredCount', 0)} desired, {_launch(found.service)}"
    yield "deployments", _deployments(found.service)
    yield "task definition", f"`{found.definition.arn.rpartition('/')[2]}`"
    for container in found.definition.containers:
        kind = "names the version" if container.name == found.container.name else "sidecar"
        essential = "essential" if container.is_essential else "not essential"
        yield f"container `{container.name}`", f"{kind}, {essential}: `{container.image}`; logs: {_logs(container)}"
    count = found.definition.revision_count
    yield f"task roles, revisions read: {count}", _names(found.definition.task_roles)
    yield f"execution roles, revisions read: {count}", _names(found.definition.execution_roles)
    for balancer in found.balancers:
        yield from _balancer_facts(balancer)
    if found.is_worker:
        yield "load balancer", "none"
    for repository, exists in found.repositories.items():
        state = {True: "exists", False: "does not exist", None: "not looked at"}[exists]
        yield "repository", f"`{repository.uri}`: {state}"
    yield "scaling", _scaling(found)
    yield "Container Insights", {True: "on", False: "off", None: "not read"}[found.has_insights]
    yield "shared within the cluster", _sharing(found)


def _balancer_facts(balancer: Balancer) -> Iterator[tuple[str, str]]:
    kind = f"{balancer.kind}, {'internal' if balancer.is_internal else 'internet-facing'}"
    others = {None: "sharing not read", True: "not shared"}.get(balancer.is_exclusive, _why_not_exclusive(balancer))
    yield f"load balancer `{balancer.full_name}`", f"{kind}, {others}, `{balancer.dns_name}`"
    for group in balancer.groups:
        check = f"health check `{group.health_path}`" if group.health_path else "no HTTP health check"
        codes = f" answers {group.health_codes}" if group.health_codes else ""
        yield f"target group `{group.full_name}`", f"{check}{codes}"
    own = {group.arn for group in balancer.groups}
    for listener in balancer.listeners or ():
        yield f"listener {listener.protocol} {listener.port}", _rules(listener, own)


def _why_not_exclusive(balancer: Balancer) -> str:
    return "shared with other target groups" if balancer.other_groups else "answers with errors of its own"


def _rules(listener: Listener, own: set[str]) -> str:
    rules = [_rule(rule) for rule in listener.rules if set(rule.groups) & own]
    return f"to this service: {'; '.join(rules)}" if rules else "no rule leads to this service"


def _rule(rule: Rule) -> str:
    conditions = [
        *(["host " + " or ".join(f"`{host}`" for host in rule.hosts)] if rule.hosts else []),
        *(["path " + " or ".join(f"`{path}`" for path in rule.paths)] if rule.paths else []),
        *(["other conditions"] if rule.has_other_conditions else []),
        *(["after a login"] if rule.needs_login else []),
    ]
    return ", ".join(conditions) or "every request that no other rule takes"


def _launch(service: Mapping[str, Any]) -> str:
    providers = [str(one["capacityProvider"]) for one in service.get("capacityProviderStrategy", ())]
    if providers:
        return f"capacity providers {_names(providers)}"
    return f"launch type {service.get('launchType', 'not named')}"


def _deployments(service: Mapping[str, Any]) -> str:
    configuration = service.get("deploymentConfiguration") or {}
    breaker = configuration.get("deploymentCircuitBreaker") or {}
    state = (
        "off" if not breaker.get("enable") else "on, with rollback" if breaker.get("rollback") else "on, no rollback"
    )
    limits = (
        f"{configuration.get('minimumHealthyPercent', '?')} to {configuration.get('maximumPercent', '?')} % healthy"
    )
    return f"rolling, {limits}, circuit breaker {state}"


def _logs(container: Any) -> str:
    if container.log_group:
        return f"`{container.log_group}`"
    return f"driver `{container.log_driver}`" if container.log_driver else "none"


def _scaling(found: Found) -> str:
    if found.scaling is None:
        is_unread = any(unread.subject.startswith("scaling") for unread in found.unread)
        return "not read" if is_unread else "none"
    scaling = found.scaling
    policies = f"{len(scaling.policies)} policies, {len(scaling.scheduled_actions)} scheduled actions"
    return f"{scaling.min_capacity} to {scaling.max_capacity} tasks, {policies}"


def _sharing(found: Found) -> str:
    if found.sharing is None:
        return "not read"
    shared = {
        "log group": found.sharing.log_group,
        "family": found.sharing.family,
        "repository": found.sharing.repository,
    }
    named = [f"{thing} with {_names(names)}" for thing, names in shared.items() if names]
    return "; ".join(named) or f"nothing, of {found.sharing.looked_at} other services"


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    lines += [f"| {_cell(first)} | {_cell(second)} |" for first, second in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _plain(text: str) -> str:
    """Make one line of a text that may quote a name from AWS; no line of the page can be forged."""
    return one_line(text)


def _code(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}json\n{text}\n{fence}"
