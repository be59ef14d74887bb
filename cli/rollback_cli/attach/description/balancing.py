"""Describe how requests reach the service: load balancers, target groups, address and endpoints."""

from collections.abc import Iterator
from typing import Any

from rollback_cli.attach.description.part import Decision, LeftOut, Part, join
from rollback_cli.attach.found import Balancer, BalancerKind, Found, TargetGroup
from rollback_cli.attach.routing import Answer, addresses, reaches

_OK = 200


def describe_balancing(found: Found, base_url: str | None) -> Part:
    """Describe load balancers, address and endpoints.

    Args:
        found: facts about the service.
        base_url: address that the operator gave; None: the one that the listeners name is used.
    """
    usable = [balancer for balancer in found.balancers if balancer.kind is not BalancerKind.GATEWAY]
    parts = [Part(existing=_balancer_settings(usable), left_out=tuple(_left_out(found)), blockers=_blockers(found))]
    if len(usable) == 1 and usable[0].is_exclusive:
        parts.append(Part(service={"load_balancer_shared": False}))
    parts.append(_describe_address(found, usable, base_url))
    return join(parts)


def _balancer_settings(balancers: list[Balancer]) -> dict[str, Any]:
    if not balancers:
        return {}
    described = [
        {
            "load_balancer": balancer.full_name,
            "target_groups": [group.full_name for group in balancer.groups],
            **({"shared": False} if balancer.is_exclusive else {}),
        }
        for balancer in balancers
    ]
    if len(described) > 1:
        return {"load_balancers": described}
    return {name: described[0][name] for name in ("load_balancer", "target_groups")}


def _left_out(found: Found) -> Iterator[LeftOut]:
    for balancer in found.balancers:
        if balancer.kind is BalancerKind.GATEWAY:
            yield LeftOut(
                f"load balancer `{balancer.full_name}`",
                "a Gateway Load Balancer has no metrics of the service's answers",
            )
        if balancer.kind is BalancerKind.NETWORK:
            yield LeftOut(
                f"error rate and latency of `{balancer.full_name}`",
                "a Network Load Balancer counts no answers; its healthy hosts and resets are watched",
            )
    for name in found.unbalanced_groups:
        yield LeftOut(f"target group `{name}`", "no load balancer forwards to it, so its metrics have no data")
    for name in found.classic_balancers:
        yield LeftOut(f"load balancer `{name}`", "a Classic Load Balancer has no target groups, which the alarms need")
    if found.service.get("vpcLatticeConfigurations"):
        yield LeftOut("VPC Lattice", "its target groups have other metrics, which no alarm of this product reads")
    if found.is_worker:
        yield LeftOut(
            "alarms on errors, latency and healthy hosts, and checks by HTTP",
            "no load balancer belongs to the service: tasks, exits and logs are watched",
        )


def _blockers(found: Found) -> tuple[str, ...]:
    if not found.unread_groups:
        return ()
    groups = ", ".join(arn.rpartition(":")[2] for arn in found.unread_groups)
    return (f"the load balancer of {groups} could not be read: without it the service would be watched as a worker",)


def _describe_address(found: Found, balancers: list[Balancer], base_url: str | None) -> Part:
    if base_url is not None:
        return join([Part(service={"base_url": base_url}), _endpoints_at(balancers, base_url)])
    public = [balancer for balancer in balancers if not balancer.is_internal]
    for balancer in public:
        for group in _with_http_checks(balancer):
            path = str(group.health_path)
            for address in addresses(balancer, path):
                if address.is_reachable is Answer.YES:
                    return join(
                        [
                            Part(service={"base_url": address.url}),
                            _endpoint(path, group.health_codes),
                            Part() if address.named_host else _without_name(address.url),
                        ]
                    )
    if not balancers:
        return Part()
    return _address_to_decide(found, balancers)


def _with_http_checks(balancer: Balancer) -> list[TargetGroup]:
    """Select groups whose health check is a GET that a check of this product can repeat; gRPC's is a POST."""
    return [group for group in balancer.groups if group.health_path and group.protocol_version != "GRPC"]


def _endpoints_at(balancers: list[Balancer], base_url: str) -> Part:
    """Describe the endpoints at an address that the operator gave."""
    refused: list[Part] = []
    for balancer in balancers:
        for group in _with_http_checks(balancer):
            path = str(group.health_path)
            answer = reaches(balancer, base_url, path) if balancer.kind is BalancerKind.APPLICATION else Answer.YES
            if answer is Answer.YES:
                return _endpoint(path, group.health_codes)
            refused.append(_unreachable(path, base_url, answer))
    return join([*refused[:1], Part(decisions=(_name_endpoints(),))])


def _unreachable(path: str, base_url: str, answer: Answer) -> Part:
    reason = "the listener's rules bring a request for it to another target"
    if answer is Answer.UNCERTAIN:
        reason = "it is not certain that the listener's rules bring a request for it to this service"
    return Part(left_out=(LeftOut(f"endpoint `{path}` at {base_url}", reason),))


def _endpoint(path: str, codes: str | None) -> Part:
    status, is_certain = _expected_status(codes)
    endpoint: dict[str, Any] = {"path": path} if status == _OK else {"path": path, "status": status}
    advice = f"`{path}` is the health check's path: it often answers although the service can't do its work."
    if not is_certain:
        advice += f" The health check accepts {codes}, and a check of this product expects {status} exactly."
    return Part(
        service={"endpoints": [endpoint]},
        decisions=(
            Decision(
                "Which endpoints must answer after a rollback?",
                f"{advice} Add the paths that your users need, with a limit of latency where one is promised.",
                snippet={"endpoints": [endpoint, {"path": "/your/most/used/path", "max_latency_seconds": 1}]},
            ),
        ),
    )


def _expected_status(codes: str | None) -> tuple[int, bool]:
    """Return the status to expect, and whether the health check accepts this one only.

    The matcher is one code, a list or a range: `200`, `200,202` or `200-299` (ELB API reference, Matcher).
    """
    if not codes:
        return _OK, True
    ranges = [part.strip().partition("-") for part in codes.split(",")]
    numbers = [(int(low), int(high or low)) for low, _, high in ranges if low.isdigit()]
    if len(numbers) == 1 and numbers[0][0] == numbers[0][1]:
        return numbers[0][0], True
    accepts_ok = any(low <= _OK <= high for low, high in numbers)
    return (_OK if accepts_ok or not numbers else numbers[0][0]), False


def _without_name(url: str) -> Part:
    return Part(
        decisions=(
            Decision(
                "Do users reach the service by another name?",
                f"No rule names a host, so `{url}` is the load balancer's own name. A name of your own also checks DNS "
                "and certificate.",
                snippet={"base_url": "https://api.example.com"},
            ),
        )
    )


def _address_to_decide(found: Found, balancers: list[Balancer]) -> Part:
    """Describe a service whose address is not certain: its checks by HTTP are left out until the team names one."""
    internal = [balancer for balancer in balancers if balancer.is_internal]
    paths = [str(group.health_path) for balancer in balancers for group in _with_http_checks(balancer)]
    snippet: dict[str, Any] = {
        "base_url": "https://api.example.com",
        "endpoints": [{"path": (paths or ["/health"])[0]}],
    }
    if len(internal) < len(balancers):
        reason = _why_uncertain(balancers, paths)
        decision = Decision(
            "Which address do users reach the service by?",
            f"{reason[:1].upper()}{reason[1:]}. Look it up again with `--base-url`, or add the settings:",
            snippet=snippet,
        )
        return Part(left_out=(LeftOut("`base_url` and `endpoints`", reason),), decisions=(decision,))
    balancer = internal[0]
    url = next((address.url for path in paths for address in addresses(balancer, path)), None)
    snippet["base_url"] = url or f"http://{balancer.dns_name}"
    placement = {
        "vpc_id": balancer.vpc_id or "vpc-0123456789abcdef0",
        "availability_zones": [zone for zone, _ in balancer.subnets],
        "private_subnet_ids": [subnet for _, subnet in balancer.subnets],
        "security_group_ids": _task_security_groups(found) or ["sg-0123456789abcdef0"],
    }
    return Part(
        left_out=(
            LeftOut(
                "`base_url` and `endpoints`",
                "the load balancer is internal, and functions outside its VPC can't reach it",
            ),
        ),
        decisions=(
            Decision(
                "Shall the functions probe the internal load balancer?",
                "Put the functions that probe into the VPC. The subnets need a route to AWS's APIs, and the load "
                "balancer must admit the security group. Without it HTTP checks are skipped, and reports say so.",
                snippet={"functions": {"probes_in_vpc": placement}},
                place="the environment",
            ),
            Decision("At which address do the functions probe?", "Only with the setting above.", snippet=snippet),
        ),
    )


def _why_uncertain(balancers: list[Balancer], paths: list[str]) -> str:
    if any(balancer.listeners is None for balancer in balancers):
        return "the listeners could not be read"
    if all(balancer.kind is BalancerKind.NETWORK for balancer in balancers):
        return "a Network Load Balancer's listener does not say which protocol the service speaks"
    if not paths:
        return "no target group has a health check by HTTP GET"
    return "no listener's rules bring a plain request for the health check's path to this service under a known name"


def _name_endpoints() -> Decision:
    return Decision(
        "Which endpoints must answer after a rollback?",
        "Without one, no check by HTTP is made.",
        snippet={"endpoints": [{"path": "/your/most/used/path"}]},
    )


def _task_security_groups(found: Found) -> list[str]:
    network = (found.service.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
    return [str(group) for group in network.get("securityGroups", ())]
