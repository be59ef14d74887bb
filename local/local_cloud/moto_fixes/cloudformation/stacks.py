"""Stacks whose updates reach dependents, and whose failures name the resource.

Replaced in moto:
- `parsing`: moto ignores an unknown resource type; here the type is refused by its name.
- `ResourceMap.update`: moto compares templates, so a resource whose references changed is not updated. Here resources
  change in the order of their dependencies, and a change of *resolved* properties updates a resource. So a service
  follows its new task definition. Replaced and removed resources are deleted last.
- `ResourceMap.delete`: moto deletes in a random order, and so a role before the policy that is attached to it. Here
  each resource is deleted before those that it refers to. `RetainExceptOnCreate` retains too.
- `Stack`: moto raises a failure of a resource to the caller. Here the stack ends in CREATE_FAILED or UPDATE_FAILED with
  an event that names the resource, as on AWS with rollback disabled: nothing is rolled back.
- `CloudFormationBackend.create_stack`: moto asks for exports before it creates resources, and loses their failures.
- Generated names: moto's are longer than some services allow.
- A kept SSM parameter (UsePreviousValue) in a change set: moto resolves its value again, as if that were a name.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import AlreadyExistsException, ValidationError
from moto.cloudformation.models import CloudFormationBackend, Event, Stack, cloudformation_backends
from moto.cloudformation.utils import generate_stack_id

_WITHOUT_EFFECT = frozenset({"AWS::CDK::Metadata", *parsing.NULL_MODELS})
_KEPT_WHEN_REMOVED = frozenset({"Retain", "RetainExceptOnCreate"})
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


class ResourceFailed(Exception):
    """A resource of a stack could not be created, updated or deleted."""

    def __init__(self, logical_id: str, resource_type: str, reason: str) -> None:
        super().__init__(f"{logical_id} ({resource_type}): {reason}")
        self.logical_id = logical_id
        self.resource_type = resource_type
        self.reason = reason


def install(models: Mapping[str, Any]) -> None:
    """Replace moto's engine.

    Args:
        models: the class of each resource type, by the type's name. A class whose `is_replaced_by_stack` is true has
            its replaced resources deleted at the end of the update. moto's own classes delete theirs themselves.
    """

    def model_of(resource_type: str) -> Any:
        return _model_of(resource_type, models)

    parsing.get_model_map = lambda: models
    parsing.get_model_list = lambda: list(models.values())
    parsing.get_name_type_map = lambda: {name: model.cloudformation_name_type() for name, model in models.items()}
    parsing.resource_class_from_type = model_of
    parsing.generate_resource_name = _name
    parsing.parse_and_create_resource = _create
    parsing.parse_and_update_resource = _update
    parsing.parse_and_delete_resource = _delete
    parsing.ResourceMap.parse_ssm_parameter = _ssm_parameter
    parsing.ResourceMap.update = _update_map
    parsing.ResourceMap.delete = _delete_map
    CloudFormationBackend.create_stack = _create_stack_call
    Stack.create_resources = _create_stack
    Stack.update = _update_stack
    Stack.delete = _delete_stack


def _name(resource_type: str, stack_name: str, logical_id: str) -> str:
    """Return a generated name that its service allows: short enough, and in lower case for ECR."""
    name = str(_stock_name(resource_type, stack_name, logical_id))
    longest = _MAX_NAME_LENGTHS.get(resource_type, len(name))
    if len(name) > longest:
        suffix = name.rsplit("-", 1)[1]
        name = f"{name[: longest - len(suffix) - 1].rstrip('-')}-{suffix}"
    return name.lower() if resource_type == "AWS::ECR::Repository" else name


def _model_of(resource_type: str, models: Mapping[str, Any]) -> Any:
    if resource_type in _WITHOUT_EFFECT:
        return None
    if resource_type.startswith("Custom::"):
        return parsing.CustomModel
    if resource_type not in models:
        raise ValidationError(message=f"the embedded cloud does not know the resource type {resource_type}")
    return models[resource_type]


def _create(logical_id: str, resource_json: Any, resources_map: Any, account_id: str, region_name: str) -> Any:
    kind = resource_json["Type"]
    if kind in _WITHOUT_EFFECT or not _is_wanted(resource_json, resources_map):
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
            raise NotImplementedError(f"the embedded cloud cannot update a {kind}")
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
    """Resolve an SSM parameter. A parameter with UsePreviousValue arrives resolved, and is returned as it is."""
    parameter = parsing.ssm_backends[self._account_id][self._region_name].get_parameter(value)
    return value if parameter is None else _stock_ssm_parameter(self, value, value_type)


def _is_wanted(resource_json: Any, resources_map: Any) -> bool:
    """Whether the template's condition, if any, lets the resource exist."""
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
    """Update a stack's resources in the order of their dependencies, then delete the replaced and the removed ones."""
    old_json = self._resource_json_map
    self._template, self._resource_json_map = template, template["Resources"]
    if parameters:
        self.input_parameters = parameters
    self.load_mapping()
    self.load_parameters()
    self.load_conditions()
    superseded = _update_changed(self) + _take_removed(self, old_json)
    for logical_id, resource, description in reversed(superseded):
        try:
            self._delete_resource(resource, description)
        except Exception as error:
            raise ResourceFailed(logical_id, description["Type"], _reason(error)) from error


def _delete_map(self: Any) -> None:
    """Delete a stack's resources, each before those that it refers to; retained ones stay."""
    for logical_id in reversed(_in_dependency_order(self._resource_json_map)):
        description, resource = self._resource_json_map[logical_id], self._parsed_resources.get(logical_id)
        if description.get("DeletionPolicy") in _KEPT_WHEN_REMOVED or resource is None or isinstance(resource, str):
            continue
        try:
            self._delete_resource(resource, description)
        except Exception as error:
            raise ResourceFailed(logical_id, description["Type"], _reason(error)) from error
        self._parsed_resources.pop(logical_id)


def _update_changed(resources_map: Any) -> list[tuple[str, Any, Any]]:
    """Create and update resources; return those that were replaced, with their ids and descriptions."""
    existing = resources_map._parsed_resources
    replaced: list[tuple[str, Any, Any]] = []
    for logical_id in _in_dependency_order(resources_map._resource_json_map):
        description = resources_map._resource_json_map[logical_id]
        if description["Type"] in _WITHOUT_EFFECT or not _is_wanted(description, resources_map):
            continue
        original = existing.get(logical_id)
        if original is None:
            existing.pop(logical_id, None)
            _ = resources_map[logical_id]  # moto creates a resource when it is looked up
            continue
        if parsing.clean_json(description.get("Properties", {}), resources_map) == _resolved(resources_map).get(
            logical_id
        ):
            continue
        updated = _update(logical_id, description, resources_map, resources_map._account_id, resources_map._region_name)
        existing[logical_id] = updated
        if _was_replaced(original, updated) and description.get("UpdateReplacePolicy") != "Retain":
            replaced.append((logical_id, original, description))
    return replaced


def _was_replaced(original: Any, updated: Any) -> bool:
    by_stack = getattr(original, "is_replaced_by_stack", False)
    return by_stack and original.physical_resource_id != updated.physical_resource_id


def _take_removed(resources_map: Any, old_json: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Remove the resources that the template no longer has; return those that are to be deleted."""
    existing, template_resources = resources_map._parsed_resources, resources_map._resource_json_map
    removed = []
    for logical_id in _in_dependency_order(old_json):
        if existing.get(logical_id) is None:
            continue
        if logical_id not in template_resources or not _is_wanted(template_resources[logical_id], resources_map):
            removed.append((logical_id, existing.pop(logical_id), old_json[logical_id]))
            _resolved(resources_map).pop(logical_id, None)
    return [item for item in removed if item[2].get("DeletionPolicy") not in _KEPT_WHEN_REMOVED]


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
    stack.output_map = parsing.OutputMap(
        stack.resource_map, {}, stack.stack_id
    )  # computing outputs would create the missing resources
    stack._add_stack_event(status, resource_status_reason=str(error))


def _create_stack_call(self: Any, name: str, template: str, parameters: dict[str, Any], **options: Any) -> Any:
    """Create a stack, its exports last: computing exports creates resources, and their failure would be lost."""
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
