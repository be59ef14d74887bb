"""CloudFormation as CDK's templates need it: every type complete or refused by name, updates that reach dependents.

Changes, in moto:
- `parsing`: the models of the types listed in the `cloudformation_*` modules; unknown types are refused; an error names
  the resource it happened in.
- `ResourceMap.update`: resources change in the order of their dependencies, one whose *resolved* properties changed is
  updated (so a service follows its new task definition), what was replaced or removed is deleted last.
- `Stack`: a failure ends in CREATE_FAILED / UPDATE_FAILED with an event that names the resource (as on AWS with
  rollback disabled: nothing is rolled back).
- change sets, in `cloudformation_changesets`.
"""

import re
from collections.abc import Iterator
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import AlreadyExistsException, ValidationError
from moto.cloudformation.models import CloudFormationBackend, Event, Stack, cloudformation_backends
from moto.cloudformation.utils import generate_stack_id
from moto.core.common_models import CloudFormationModel

from local_cloud.cloudformation import changesets as cloudformation_changesets
from local_cloud.cloudformation import operations as cloudformation_operations
from local_cloud.cloudformation import protection as cloudformation_protection
from local_cloud.cloudformation import serverless as cloudformation_serverless
from local_cloud.cloudformation import workloads as cloudformation_workloads
from local_cloud.cloudformation.types import Resource, ResourceType, define

_WITHOUT_EFFECT = frozenset({"AWS::CDK::Metadata", *parsing.NULL_MODELS})
_TYPES: tuple[ResourceType, ...] = (
    *cloudformation_operations.TYPES,
    *cloudformation_serverless.TYPES,
    *cloudformation_workloads.TYPES,
)
_stock_models = {
    model.cloudformation_type(): model for model in CloudFormationModel.__subclasses__() if model is not Resource
}
_stock_create = parsing.parse_and_create_resource
_stock_update = parsing.parse_and_update_resource
_stock_delete = parsing.parse_and_delete_resource
_stock_ssm_parameter = parsing.ResourceMap.parse_ssm_parameter
_stock_name = parsing.generate_resource_name
_MAX_NAME_LENGTHS = {
    "AWS::IAM::Role": 64,
    "AWS::Lambda::Function": 64,
    "AWS::Events::Rule": 64,
    "AWS::Scheduler::Schedule": 64,
    "AWS::SQS::Queue": 80,
    "AWS::StepFunctions::StateMachine": 80,
}
_MODELS = _stock_models | {resource_type.name: define(resource_type) for resource_type in _TYPES}


class ResourceFailed(Exception):
    """A resource of a stack could not be made, changed or deleted."""

    def __init__(self, logical_id: str, resource_type: str, reason: str) -> None:
        super().__init__(f"{logical_id} ({resource_type}): {reason}")
        self.logical_id = logical_id
        self.resource_type = resource_type
        self.reason = reason


def install() -> None:
    parsing.get_model_map = lambda: _MODELS
    parsing.get_model_list = lambda: list(_MODELS.values())
    parsing.get_name_type_map = lambda: {name: model.cloudformation_name_type() for name, model in _MODELS.items()}
    parsing.resource_class_from_type = _model_of
    parsing.generate_resource_name = _name
    parsing.parse_and_create_resource = _create
    parsing.parse_and_update_resource = _update
    parsing.parse_and_delete_resource = _delete
    parsing.ResourceMap.parse_ssm_parameter = _ssm_parameter
    parsing.ResourceMap.update = _update_map
    CloudFormationBackend.create_stack = _create_stack_call
    Stack.create_resources = _create_stack
    Stack.update = _update_stack
    Stack.delete = _delete_stack
    cloudformation_changesets.install()
    cloudformation_protection.install()


def _name(resource_type: str, stack_name: str, logical_id: str) -> str:
    """A generated name, short enough for its service, and in lower case where that is the rule."""
    name = str(_stock_name(resource_type, stack_name, logical_id))
    longest = _MAX_NAME_LENGTHS.get(resource_type, len(name))
    if len(name) > longest:
        suffix = name.rsplit("-", 1)[1]
        name = f"{name[: longest - len(suffix) - 1].rstrip('-')}-{suffix}"
    return name.lower() if resource_type == "AWS::ECR::Repository" else name


def _model_of(resource_type: str) -> Any:
    if resource_type in _WITHOUT_EFFECT:
        return None
    if resource_type.startswith("Custom::"):
        return parsing.CustomModel
    if resource_type not in _MODELS:
        raise ValidationError(message=f"the local cloud does not know the resource type {resource_type}")
    return _MODELS[resource_type]


def _create(logical_id: str, resource_json: Any, resources_map: Any, account_id: str, region_name: str) -> Any:
    kind = resource_json["Type"]
    if kind in _WITHOUT_EFFECT or not _parse_parameters(resource_json, resources_map):
        return None
    try:
        resource = _stock_create(logical_id, resource_json, resources_map, account_id, region_name)
        _resolved(resources_map)[logical_id] = parsing.clean_json(resource_json.get("Properties", {}), resources_map)
    except ResourceFailed:
        raise
    except Exception as error:
        raise ResourceFailed(logical_id, kind, _reason(error)) from error
    return resource


def _update(logical_id: str, resource_json: Any, resources_map: Any, account_id: str, region_name: str) -> Any:
    kind = resource_json["Type"]
    try:
        resource = _stock_update(logical_id, resource_json, resources_map, account_id, region_name)
        if resource is None:
            raise NotImplementedError(f"the local cloud cannot update a {kind}")
        _resolved(resources_map)[logical_id] = parsing.clean_json(resource_json.get("Properties", {}), resources_map)
    except ResourceFailed:
        raise
    except Exception as error:
        raise ResourceFailed(logical_id, kind, _reason(error)) from error
    return resource


def _delete(resource_name: str, resource_json: Any, account_id: str, region_name: str) -> None:
    if resource_json["Type"] not in _WITHOUT_EFFECT:
        _stock_delete(resource_name, resource_json, account_id, region_name)


def _reason(error: Exception) -> str:
    return str(getattr(error, "message", None) or error) or type(error).__name__


def _ssm_parameter(self: Any, value: str, value_type: str) -> Any:
    """A parameter that is used again (UsePreviousValue) arrives resolved already."""
    found = parsing.ssm_backends[self._account_id][self._region_name].get_parameter(value)
    return value if found is None else _stock_ssm_parameter(self, value, value_type)


def _parse_parameters(resource_json: Any, resources_map: Any) -> bool:
    condition = resource_json.get("Condition")
    return not condition or bool(resources_map.lazy_condition_map[condition])


def _resolved(resources_map: Any) -> dict[str, Any]:
    resolved: dict[str, Any] = resources_map.__dict__.setdefault("resolved_properties", {})
    return resolved


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for member in value:
            yield from _references(member)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name in {"Ref", "DependsOn"} and isinstance(member, str):
                yield member
            elif name == "DependsOn":
                yield from member
            elif name == "Fn::GetAtt":
                yield member[0] if isinstance(member, list) else member.split(".")[0]
            else:
                if name == "Fn::Sub":
                    yield from re.findall(r"\${([^!}.]+)", member if isinstance(member, str) else member[0])
                yield from _references(member)


def _in_dependency_order(resources: dict[str, Any]) -> list[str]:
    ordered: dict[str, None] = {}

    def visit(logical_id: str) -> None:
        if logical_id in ordered or logical_id not in resources:
            return
        for dependency in _references({key: value for key, value in resources[logical_id].items() if key != "Type"}):
            if dependency != logical_id:
                visit(dependency)
        ordered.setdefault(logical_id)

    for logical_id in resources:
        visit(logical_id)
    return list(ordered)


def _update_map(self: Any, template: dict[str, Any], parameters: dict[str, Any] | None = None) -> None:
    old_json, made = self._resource_json_map, self._parsed_resources
    self._template, self._resource_json_map = template, template["Resources"]
    if parameters:
        self.input_parameters = parameters
    self.load_mapping()
    self.load_parameters()
    self.load_conditions()
    superseded: list[tuple[str, Any, Any]] = []
    for logical_id in _in_dependency_order(self._resource_json_map):
        description = self._resource_json_map[logical_id]
        if description["Type"] in _WITHOUT_EFFECT or not _parse_parameters(description, self):
            continue
        if made.get(logical_id) is None:
            made.pop(logical_id, None)
            _ = self[logical_id]  # moto makes a resource when it is looked up
            continue
        if parsing.clean_json(description.get("Properties", {}), self) == _resolved(self).get(logical_id):
            continue
        before = made[logical_id]
        after = _update(logical_id, description, self, self._account_id, self._region_name)
        made[logical_id] = after
        replaced = isinstance(before, Resource) and before.physical_resource_id != after.physical_resource_id
        if replaced and description.get("UpdateReplacePolicy") != "Retain":
            superseded.append((logical_id, before, description))
    gone = [
        name
        for name in _in_dependency_order(old_json)
        if made.get(name) is not None
        and (name not in self._resource_json_map or not _parse_parameters(self._resource_json_map[name], self))
    ]
    removed = [(name, made.pop(name), old_json[name]) for name in gone]
    kept = {"Retain", "RetainExceptOnCreate"}
    superseded += [item for item in removed if item[2].get("DeletionPolicy") not in kept]
    for logical_id, resource, description in reversed(superseded):
        _resolved(self).pop(logical_id, None) if logical_id in gone else None
        try:
            self._delete_resource(resource, description)
        except Exception as error:
            raise ResourceFailed(logical_id, description["Type"], _reason(error)) from error


def _fail(stack: Any, status: str, error: Exception) -> None:
    if isinstance(error, ResourceFailed):
        event = Event(
            stack_id=stack.stack_id,
            stack_name=stack.name,
            logical_resource_id=error.logical_id,
            physical_resource_id="",
            resource_type=error.resource_type,
            resource_status=status,
            resource_status_reason=error.reason,
            resource_properties=None,
        )
        stack.events.append(event)
    stack.status, stack.status_reason = status, str(error)
    stack.output_map = parsing.OutputMap(stack.resource_map, {}, stack.stack_id)  # outputs would make what is missing
    stack._add_stack_event(status, resource_status_reason=str(error))


def _create_stack_call(self: Any, name: str, template: str, parameters: dict[str, Any], **options: Any) -> Any:
    """moto asks for the exports first, which makes resources where their failure would be lost."""
    if name in {stack.name for stack in self.stacks.values()}:
        raise AlreadyExistsException(f"Stack {name} already exists")
    stack_id = generate_stack_id(name, self.region_name, self.account_id)
    stack = Stack(
        stack_id=stack_id,
        name=name,
        template=template,
        parameters=parameters,
        account_id=self.account_id,
        region_name=self.region_name,
        cross_stack_resources=self.exports,
        **options,
    )
    self.stacks[stack_id] = stack
    stack._add_stack_event("CREATE_IN_PROGRESS", resource_status_reason="User Initiated")
    stack.create_resources()
    return stack


def _export(stack: Any) -> None:
    exports = cloudformation_backends[stack.account_id][stack.region_name].exports
    exports.update({export.name: export for export in stack.exports})


def _create_stack(self: Any) -> None:
    self.status = "CREATE_IN_PROGRESS"
    try:
        self.resource_map.create(self.template_dict)
    except Exception as error:  # noqa: BLE001
        _fail(self, "CREATE_FAILED", error)
        return
    self.description = self.template_dict.get("Description")
    self.output_map = self._create_output_map()
    _export(self)
    self.mark_creation_complete()


def _delete_stack(self: Any) -> None:
    try:
        self.resource_map.delete()
    except Exception as error:
        _fail(self, "DELETE_FAILED", error)
        raise ValidationError(message=f"stack {self.name} could not be deleted: {_reason(error)}") from error
    self.status = "DELETE_COMPLETE"
    self._add_stack_event("DELETE_COMPLETE")


def _update_stack(
    self: Any, template: str, role_arn: str | None = None, parameters: Any = None, tags: Any = None
) -> None:
    self._add_stack_event("UPDATE_IN_PROGRESS", resource_status_reason="User Initiated")
    self.template = template
    self._parse_template()
    try:
        self.resource_map.update(self.template_dict, parameters)
    except Exception as error:  # noqa: BLE001
        _fail(self, "UPDATE_FAILED", error)
        return
    self.output_map = self._create_output_map()
    _export(self)
    self.role_arn, self.parameters = role_arn, parameters or self.parameters
    self.tags = self.tags if tags is None else tags
    self.status = "UPDATE_COMPLETE"
    self._add_stack_event("UPDATE_COMPLETE")
