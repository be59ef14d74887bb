"""Describe a service as a section of `cdk.json`, with what is left out and what the team decides."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rollback_cli.attach.description.balancing import describe_balancing
from rollback_cli.attach.description.containers import describe_containers
from rollback_cli.attach.description.part import Decision, LeftOut, Part, join
from rollback_cli.attach.found import Found

_DATABASE_VARIABLE = re.compile(r"(?:^|_)(?:DATABASE|DB|POSTGRES\w*|PG\w*|NEON)(?:_|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Section:
    """Description of a service.

    Attributes:
        label: this product's name of the service.
        service: element of `environments.<name>.services`.
        environment: settings of an environment that `cdk.json` does not have yet, without its services.
    """

    label: str
    service: Mapping[str, Any]
    environment: Mapping[str, Any]
    left_out: tuple[LeftOut, ...]
    decisions: tuple[Decision, ...]
    blockers: tuple[str, ...]


def describe(found: Found, label: str, base_url: str | None = None) -> Section:
    """Describe a service.

    Args:
        found: facts about the service.
        label: this product's name of the service.
        base_url: address that the operator gave.
    """
    part = join([describe_balancing(found, base_url), describe_containers(found), _decisions_of_the_team(found)])
    return Section(
        label=label,
        service={
            "name": label,
            "cluster": found.cluster,
            "ecs_service": found.ecs_service,
            "container": found.container.name,
            **({"stack": found.stack} if found.stack else {}),
            **part.service,
            "existing": dict(part.existing),
        },
        environment={
            "account": found.place.account,
            "region": found.place.region,
            "policy": {"mode": "observe"},
        },
        left_out=part.left_out,
        decisions=(*_first_decisions(), *part.decisions),
        blockers=part.blockers,
    )


def _first_decisions() -> Iterator[Decision]:
    yield Decision(
        "When shall it act?",
        "`observe` plans and reports, and changes nothing. Read the reports of some weeks, then set `act`.",
        snippet={"policy": {"mode": "act"}},
        place="the environment",
    )
    yield Decision(
        "Who is paged?",
        "Without a subscription nobody is.",
        snippet={"notify": ["mailto:oncall@example.com"]},
        place="the environment",
    )


def _decisions_of_the_team(found: Found) -> Part:
    return Part(decisions=(*_database(found), *_alarms(found), *_queues(found), *_insights(found), *_stack(found)))


def _database(found: Found) -> Iterator[Decision]:
    names = [name for name in found.container.variables if _DATABASE_VARIABLE.search(name)]
    seen = f"The container has {', '.join(f'`{name}`' for name in names)}. " if names else ""
    yield Decision(
        "Is the data in Neon?",
        f"{seen}Values of variables were not read, and Neon was not asked. With the setting `database`, a "
        "rollback may restore the data too.",
    )


def _alarms(found: Found) -> Iterator[Decision]:
    alarms = (found.service.get("deploymentConfiguration") or {}).get("alarms") or {}
    names = [str(name) for name in alarms.get("alarmNames", ())]
    if names:
        yield Decision(
            "Shall your own alarms start a rollback?",
            f"ECS watches {', '.join(f'`{name}`' for name in names)} during deployments. `evidence` keeps a release "
            "from being promoted; `service` and `emergency` start a rollback of this type.",
            snippet={"extra_alarms": [{"alarm": name, "starts": "service"} for name in names]},
        )
    elif found.is_worker:
        yield Decision(
            "Which alarm says that the worker does not do its work?",
            "Tasks that run can still do nothing. An alarm of your own may start a rollback.",
            snippet={"extra_alarms": [{"alarm": "your-alarm", "starts": "service"}]},
        )


def _queues(found: Found) -> Iterator[Decision]:
    urls = found.container.queue_urls
    if not urls:
        return
    names = [url.rpartition("/")[2] for url in urls]
    yield Decision(
        "Which queues does the service consume?",
        f"Its variables name {', '.join(f'`{name}`' for name in names)}. An old message is an alarm; a queue to which "
        "the service only sends must stay out.",
        snippet={"queues": [{"queue": url, "max_age_seconds": 300} for url in urls]},
    )


def _insights(found: Found) -> Iterator[Decision]:
    if found.has_insights is False:
        yield Decision(
            "Shall Container Insights be on?",
            "It is off in the cluster, so the alarm on missing tasks has no data. CloudWatch charges its metrics.",
            command=(
                f"aws ecs update-cluster-settings --cluster {found.cluster} "
                "--settings name=containerInsights,value=enabled"
            ),
        )


def _stack(found: Found) -> Iterator[Decision]:
    if found.stack is None:
        yield Decision(
            "Which tool deploys the service?",
            "No CloudFormation stack was found. After a rollback, Terraform or another tool plans to deploy the bad "
            "release again: let its pipeline ask `check-deploy` first.",
        )
