"""CloudFormation resource types that one API call to the local endpoint creates.

moto creates many types without their API, and forgets properties. A type that is created through its API keeps what
the API keeps. A property that the API does not know is refused, not dropped.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.cloudformation.exceptions import UnformattedGetAttTemplateException, ValidationError
from moto.core.common_models import CloudFormationModel

from local_cloud.iam import credentials

Properties = dict[str, Any]


@dataclass(frozen=True)
class ResourceType:
    """Instructions to create, update and delete one type of resource.

    Attributes:
        create: method of the boto3 client.
        physical_id: value of `Ref`.
        attributes: values of `Fn::GetAtt`, by name.
        parameters: turns properties into the API's parameters.
        finish: runs after creation and after update.
        update: None if any change replaces the resource.
        replaced_by: properties whose change replaces the resource.
        has_system_tags: whether the resource gets the tags that CloudFormation adds by itself. Only types whose tags
            some code reads have them (CloudFormation user guide, "Resource tags").
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
    replaced_by: tuple[str, ...] = ()
    has_system_tags: bool = False


class Resource(CloudFormationModel):  # type: ignore[misc]  # moto is untyped
    """A resource that was created through its API. The methods are those that moto's CloudFormation calls."""

    type: ResourceType
    is_replaced_by_stack = True  # `moto_fixes.cloudformation.stacks` deletes a replaced one at the end of an update

    def __init__(self, name: str, properties: Properties, account: str, region: str) -> None:
        self.name = name
        self.properties = properties
        self.account = account
        self.region = region
        self.response: dict[str, Any] = {}
        self.origin: dict[str, str] = {}

    @property
    def client(self) -> Any:
        """The administrator's boto3 client of the type's service."""
        return credentials.service_client(self.type.service, self.region)

    @property
    def physical_resource_id(self) -> str:
        """The value of `Ref`."""
        return self.type.physical_id(self)

    @classmethod
    def cloudformation_name_type(cls) -> str:
        """Return the property that holds the resource's name; empty if the type has none."""
        return cls.type.name_property

    @classmethod
    def cloudformation_type(cls) -> str:
        """Return the type's name, such as `AWS::ECS::Service`."""
        return cls.type.name

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Whether `Fn::GetAtt` knows the attribute."""
        return attr in cls.type.attributes

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        """Return the value of `Fn::GetAtt`."""
        if attribute_name not in self.type.attributes:
            raise UnformattedGetAttTemplateException
        return self.type.attributes[attribute_name](self)

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Properties, account_id: str, region_name: str, **origin: str
    ) -> "Resource":
        """Create the resource, with a generated name if its properties give none.

        Args:
            resource_name: generated name.
            cloudformation_json: description of the resource in the template.
            account_id, region_name: place of the stack.
            **origin: `StackId` and `LogicalId`, as moto passes them.
        """
        properties = without_none(cloudformation_json["Properties"])
        if cls.type.name_property:
            properties.setdefault(cls.type.name_property, resource_name)
            resource_name = properties[cls.type.name_property]
        resource = cls(resource_name, properties, account_id, region_name)
        resource.origin = origin
        parameters = cls.type.parameters(dict(properties))
        if cls.type.has_system_tags:
            parameters["Tags"] = [*parameters.get("Tags", ()), *_system_tags(origin)]
        resource.response = resource.call(cls.type.create, parameters)
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
        """Update the resource, or create another if a change of these properties replaces it."""
        properties = without_none(cloudformation_json["Properties"])
        if cls.type.name_property and cls.type.name_property not in properties:
            properties[cls.type.name_property] = original_resource.name
        previous_properties = original_resource.properties
        fixed = (*cls.type.replaced_by, *([cls.type.name_property] if cls.type.name_property else []))
        if cls.type.update is None or any(properties.get(name) != previous_properties.get(name) for name in fixed):
            return cls.create_from_cloudformation_json(
                new_resource_name, cloudformation_json, account_id, region_name, **original_resource.origin
            )
        resource = cls(original_resource.name, properties, account_id, region_name)
        resource.response, resource.origin = original_resource.response, original_resource.origin
        cls.type.update(resource.client, resource, cls.type.parameters(dict(properties)))
        if cls.type.finish:
            cls.type.finish(resource.client, resource)
        return resource

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Properties, account_id: str, region_name: str
    ) -> None:
        """Do nothing: moto deletes by `delete`, and requires this method to exist."""

    def delete(self, *_: Any) -> None:
        """Delete the resource, if its type can be deleted."""
        if self.type.delete:
            self.type.delete(self.client, self)

    def call(self, method: str, parameters: Properties) -> dict[str, Any]:
        """Call an API with CloudFormation's spelling of its parameters.

        Raises:
            ValidationError: the API does not know a parameter.
        """
        client = self.client
        operation = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
        converted = as_shape(parameters, operation.input_shape, self.type.name)
        answer: dict[str, Any] = getattr(client, method)(**converted)
        return answer


def _system_tags(origin: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the tags of a resource of a stack, whose id is `arn:…:stack/<name>/<id>`."""
    if not origin:
        return []
    stack = origin["StackId"]
    values = {"stack-name": stack.split("/")[1], "stack-id": stack, "logical-id": origin["LogicalId"]}
    return [{"Key": f"aws:cloudformation:{name}", "Value": value} for name, value in values.items()]


def define(resource_type: ResourceType) -> type[Resource]:
    """Return the class of a resource type, as moto's CloudFormation needs it."""
    return type(resource_type.name.replace("::", ""), (Resource,), {"type": resource_type})


def without_none(value: Any) -> Any:
    """Return a copy without `AWS::NoValue`."""
    if isinstance(value, dict):
        return {name: without_none(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_none(member) for member in value if member is not None]
    return value


def as_shape(value: Any, shape: Any, where: str) -> Any:
    """Convert a value to the types and names of the API's model.

    CloudFormation passes some numbers and booleans as strings, and writes `Cpu` where ECS has `cpu`.

    Args:
        value: as CloudFormation passes it.
        shape: botocore's model of the value.
        where: the type and property, for the message of an error.
    """
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return _as_structure(value, shape, where)
    if kind == "map" and isinstance(value, dict):
        return {name: as_shape(member, shape.value, f"{where}.{name}") for name, member in value.items()}
    if kind == "list" and isinstance(value, list):
        return [as_shape(member, shape.member, where) for member in value]
    return _as_scalar(value, kind)


def _as_structure(value: Properties, shape: Any, where: str) -> Properties:
    converted = {}
    for name, member in value.items():
        api_name = name if name in shape.members else name[:1].lower() + name[1:]
        if api_name not in shape.members:
            raise ValidationError(message=f"the embedded cloud knows no property {name} in {where}")
        converted[api_name] = as_shape(member, shape.members[api_name], f"{where}.{name}")
    return converted


def _as_scalar(value: Any, kind: str) -> Any:
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
    """Turn CloudFormation's list of tags into the map that some APIs take."""
    return {tag["Key"]: tag["Value"] for tag in tags or []}


def without(properties: Properties, *names: str) -> Properties:
    """Return the properties except those of these names."""
    return {name: value for name, value in properties.items() if name not in names}
