"""Shim of four EC2 types that MiniStack's CloudFormation lacks; each calls MiniStack's own EC2.

The types are elastic IP, NAT gateway, and rules of security groups. No traffic passes through them.
"""

import re
from collections.abc import Callable
from typing import Any

from ministack.services import ec2
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Made = tuple[str, Properties]


def _member(answer: Any, element: str) -> str:
    status, _, body = answer
    text = body.decode() if isinstance(body, bytes) else str(body)
    match = re.search(f"<{element}>(.*?)</{element}>", text)
    if status >= 400 or match is None:
        raise ValueError(text)
    return match[1]


def _address(logical_id: str, properties: Properties, stack: str) -> Made:
    answer = ec2._allocate_address({"Domain": ["vpc"]})
    address = _member(answer, "publicIp")
    return address, {"AllocationId": _member(answer, "allocationId"), "PublicIp": address}


def _nat_gateway(logical_id: str, properties: Properties, stack: str) -> Made:
    request = {name: [properties[name]] for name in ("SubnetId", "AllocationId") if name in properties}
    gateway = _member(ec2._create_nat_gateway(request), "natGatewayId")
    return gateway, {"NatGatewayId": gateway}


def _rule_of(permissions: str) -> Callable[[str, Properties, str], Made]:
    def create(logical_id: str, properties: Properties, stack: str) -> Made:
        group = ec2._security_groups[properties["GroupId"]]
        group[permissions] += provisioners._ec2_sg_permissions([properties])
        return f"sgr-{logical_id}", {"Id": f"sgr-{logical_id}"}

    return create


def _unchanged(physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str = "") -> Made:
    return physical_id, {}


def _kept(physical_id: str, properties: Properties) -> None:
    """Keep the resource: the whole cloud ends with the referee."""


_CREATE = {
    "AWS::EC2::EIP": _address,
    "AWS::EC2::NatGateway": _nat_gateway,
    "AWS::EC2::SecurityGroupIngress": _rule_of("IpPermissions"),
    "AWS::EC2::SecurityGroupEgress": _rule_of("IpPermissionsEgress"),
}


def install() -> None:
    """Add the missing types."""
    for name, create in _CREATE.items():
        handlers = {"create": create, "update": _unchanged, "delete": _kept}
        provisioners._RESOURCE_HANDLERS.setdefault(name, handlers)
