"""CloudFormation resource types that are made by one API call to the local endpoint.

moto creates many types in its own way and forgets properties. A type that is made through its API gets whatever the
API keeps, and a property that the API does not know is refused rather than dropped.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moto.cloudformation.exceptions import UnformattedGetAttTemplateException, ValidationError
from moto.core.common_models import CloudFormationModel

from local_cloud.iam import credentials

Properties = dict[str, Any]


@dataclass(frozen=True)
class ResourceType:
    """How CloudFormation makes, changes and deletes one type of resource.

    `parameters` turns properties into the API's parameters, `finish` runs after creation and update, `update` is None
    when any change replaces the resource. `physical_id` is what `Ref` gives, `attributes` what `Fn::GetAtt` gives.
    """

    name: str
    service: str
    create: str
    physical_id: Callable[["Resource"], str]
    name_property: str = ""
    attributes: dict[str, Callable[["Resource"], Any]] = field(default_factory=dict)
    parameters: Callable[[Properties], Properties] = dict
    finish: Callable[[Any, "Resource"], None] | None = None
    update: Callable[[Any, "Resource", Properties], None] | None = None
    delete: Callable[[Any, "Resource"], None] | None = None
    replaced_by: tuple[str, ...] = ()  # properties whose change needs a new resource


class Resource(CloudFormationModel):  # type: ignore[misc]  # moto is untyped
    """A resource that was made through its API."""

    type: ResourceType

    def __init__(self, name: str, properties: Properties, account: str, region: str) -> None:
        self.name = name
        self.properties = properties
        self.account = account
        self.region = region
        self.response: dict[str, Any] = {}

    @property
    def client(self) -> Any:
        return credentials.service_client(self.type.service, self.region)

    @property
    def physical_resource_id(self) -> str:
        return self.type.physical_id(self)

    @classmethod
    def cloudformation_name_type(cls) -> str:
        return cls.type.name_property

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.type.name

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr in cls.type.attributes

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        if attribute_name not in self.type.attributes:
            raise UnformattedGetAttTemplateException
        return self.type.attributes[attribute_name](self)

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Properties, account_id: str, region_name: str, **_: Any
    ) -> "Resource":
        properties = without_none(cloudformation_json["Properties"])
        if cls.type.name_property:
            properties.setdefault(cls.type.name_property, resource_name)
            resource_name = properties[cls.type.name_property]
        resource = cls(resource_name, properties, account_id, region_name)
        resource.response = resource.call(cls.type.create, cls.type.parameters(dict(properties)))
        if cls.type.finish:
            cls.type.finish(resource.client, resource)
        return resource

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: "Resource",
        new_resource_name: str,
        cloudformation_json: Properties,
        account_id: str,
        region_name: str,
    ) -> "Resource":
        properties = without_none(cloudformation_json["Properties"])
        if cls.type.name_property and cls.type.name_property not in properties:
            properties[cls.type.name_property] = original_resource.name
        before = original_resource.properties
        fixed = (*cls.type.replaced_by, *([cls.type.name_property] if cls.type.name_property else []))
        if cls.type.update is None or any(properties.get(name) != before.get(name) for name in fixed):
            return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)
        resource = cls(original_resource.name, properties, account_id, region_name)
        resource.response = original_resource.response
        cls.type.update(resource.client, resource, cls.type.parameters(dict(properties)))
        if cls.type.finish:
            cls.type.finish(resource.client, resource)
        return resource

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Properties, account_id: str, region_name: str
    ) -> None:
        """moto deletes by `delete`; this method only has to exist."""

    def delete(self, *_: Any) -> None:
        if self.type.delete:
            self.type.delete(self.client, self)

    def call(self, method: str, parameters: Properties) -> dict[str, Any]:
        """Call an API with CloudFormation's spelling of its parameters; refuses what the API does not know."""
        client = self.client
        operation = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
        converted = as_shape(parameters, operation.input_shape, self.type.name)
        answer: dict[str, Any] = getattr(client, method)(**converted)
        return answer


def define(resource_type: ResourceType) -> type[Resource]:
    """The class that moto's CloudFormation works with."""
    return type(resource_type.name.replace("::", ""), (Resource,), {"type": resource_type})


def without_none(value: Any) -> Any:
    """A copy without `AWS::NoValue`."""
    if isinstance(value, dict):
        return {name: without_none(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_none(member) for member in value if member is not None]
    return value


def as_shape(value: Any, shape: Any, where: str) -> Any:
    """Convert to the type, and the spelling of names, that the API's model asks for.

    CloudFormation hands over numbers and booleans as strings at times, and writes `Cpu` where ECS has `cpu`.
    """
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        converted = {}
        for name, member in value.items():
            api_name = name if name in shape.members else name[:1].lower() + name[1:]
            if api_name not in shape.members:
                raise ValidationError(message=f"the local cloud knows no property {name} in {where}")
            converted[api_name] = as_shape(member, shape.members[api_name], f"{where}.{name}")
        return converted
    if kind == "map" and isinstance(value, dict):
        return {name: as_shape(member, shape.value, f"{where}.{name}") for name, member in value.items()}
    if kind == "list" and isinstance(value, list):
        return [as_shape(member, shape.member, where) for member in value]
    if kind in {"integer", "long"}:
        return int(value)
    if kind in {"double", "float"}:
        return float(value)
    if kind == "boolean":
        return value if isinstance(value, bool) else str(value).lower() == "true"
    if kind == "string" and not isinstance(value, str):
        return json.dumps(value) if isinstance(value, dict | list | bool) else str(value)
    return value


def tag_map(tags: list[dict[str, str]] | None) -> dict[str, str]:
    """CloudFormation's list of tags as the map that some APIs want."""
    return {tag["Key"]: tag["Value"] for tag in tags or []}
