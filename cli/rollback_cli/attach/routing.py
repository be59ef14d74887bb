"""Find the address at which a load balancer's rules bring a request to the service.

Patterns and the order of rules: Elastic Load Balancing, User Guide for Application Load Balancers, "Listener rules".
`*` stands for any number of characters and `?` for one; hosts are compared without regard to case, paths with it.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from rollback_cli.attach.found import Balancer, BalancerKind, Listener, Rule

_DEFAULT_PORTS = {"HTTPS": 443, "HTTP": 80}


class Answer(StrEnum):
    """Answers to the question whether a request reaches the service."""

    YES = "yes"
    NO = "no"
    UNCERTAIN = "uncertain"  # a rule looks at more than host and path, or users log in before


@dataclass(frozen=True)
class Address:
    """An address of the service.

    Attributes:
        is_reachable: whether a request for the path reaches the service there.
        named_host: the host comes from a rule, and not from the load balancer itself.
    """

    url: str
    is_reachable: Answer
    named_host: bool


def addresses(balancer: Balancer, path: str) -> Iterator[Address]:
    """Yield the addresses that the rules of a balancer name, those by HTTPS first.

    An HTTPS listener without a named host is left out: the certificate's name is not that of the load balancer.

    Args:
        balancer: an Application Load Balancer; others have no rules.
        path: path of the request.
    """
    if balancer.kind is not BalancerKind.APPLICATION:
        return
    own = {group.arn for group in balancer.groups}
    for listener in sorted(balancer.listeners or (), key=lambda one: one.protocol != "HTTPS"):
        for host in (*_exact_hosts(listener, own), None):
            if host is None and listener.protocol == "HTTPS":
                continue
            asked = host or balancer.dns_name
            yield Address(_url(listener, asked), _reaches(listener, asked, path, own), named_host=host is not None)


def reaches(balancer: Balancer, base_url: str, path: str) -> Answer:
    """Return whether a request to a given address reaches the service through this balancer.

    Listeners are those of the address's scheme; a port that no listener has is that of a proxy before the balancer.
    """
    parts = urlsplit(base_url)
    own = {group.arn for group in balancer.groups}
    listeners = [one for one in balancer.listeners or () if one.protocol.lower() == parts.scheme] or list(
        balancer.listeners or ()
    )
    full_path = parts.path.rstrip("/") + path
    answers = {_reaches(listener, parts.hostname or "", full_path, own) for listener in listeners}
    if answers == {Answer.NO}:
        return Answer.NO
    return Answer.YES if answers == {Answer.YES} else Answer.UNCERTAIN


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Return whether a text matches a pattern of a rule."""
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, text, re.IGNORECASE | re.DOTALL if ignore_case else re.DOTALL) is not None


def _exact_hosts(listener: Listener, own: Collection[str]) -> tuple[str, ...]:
    hosts = [
        host.lower()
        for rule in listener.rules
        if set(rule.groups) & set(own)
        for host in rule.hosts
        if not set("*?") & set(host)
    ]
    return tuple(dict.fromkeys(hosts))


def _url(listener: Listener, host: str) -> str:
    port = "" if _DEFAULT_PORTS.get(listener.protocol) == listener.port else f":{listener.port}"
    return f"{listener.protocol.lower()}://{host.lower()}{port}"


def _reaches(listener: Listener, host: str, path: str, own: Collection[str]) -> Answer:
    """Evaluate the rules in their order; the first that matches decides."""
    if listener.needs_client_certificate:
        return Answer.UNCERTAIN
    for rule in listener.rules:
        if not _matches(rule, host, path):
            continue
        to_service = bool(rule.groups) and set(rule.groups) <= set(own)
        if rule.has_other_conditions:
            return Answer.UNCERTAIN
        if to_service:
            return Answer.UNCERTAIN if rule.needs_login else Answer.YES
        return Answer.UNCERTAIN if set(rule.groups) & set(own) else Answer.NO
    return Answer.NO


def _matches(rule: Rule, host: str, path: str) -> bool:
    has_host = not rule.hosts or any(matches(pattern, host, ignore_case=True) for pattern in rule.hosts)
    return has_host and (not rule.paths or any(matches(pattern, path) for pattern in rule.paths))
