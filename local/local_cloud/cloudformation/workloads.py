"""CloudFormation types of a running workload: ECS, ECR, load balancing, scaling, and security group rules."""

import json
from typing import Any

from local_cloud.cloudformation.types import Properties, Resource, ResourceType, without

_TARGET_GROUP_CHANGES = (
    "HealthCheckProtocol", "HealthCheckPort", "HealthCheckPath", "HealthCheckEnabled", "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds", "HealthyThresholdCount", "UnhealthyThresholdCount", "Matcher",
)  # fmt: skip
_SERVICE_ONLY_AT_CREATION = ("LaunchType", "SchedulingStrategy", "Role", "DeploymentController", "Tags", "ServiceName")


def _only(properties: Properties, *names: str) -> Properties:
    return {name: value for name, value in properties.items() if name in names}


def _cluster_parameters(properties: Properties) -> Properties:
    renamed = {"ClusterSettings": "Settings"}
    return {renamed.get(name, name): value for name, value in properties.items()}


def _service_arn(service: Resource) -> str:
    return str(service.response["service"]["serviceArn"])


def _update_service(_client: Any, service: Resource, parameters: Properties) -> None:
    changes = without(parameters, *_SERVICE_ONLY_AT_CREATION)
    service.response = service.call("update_service", changes | {"Service": _service_arn(service)})


def _delete_service(client: Any, service: Resource) -> None:
    cluster = service.response["service"]["clusterArn"]
    client.delete_service(cluster=cluster, service=_service_arn(service), force=True)


def _repository_settings(client: Any, repository: Resource) -> None:
    policy = repository.properties.get("LifecyclePolicy")
    if policy:
        client.put_lifecycle_policy(repositoryName=repository.name, lifecyclePolicyText=policy["LifecyclePolicyText"])
    document = repository.properties.get("RepositoryPolicyText")
    if document:
        client.set_repository_policy(repositoryName=repository.name, policyText=json.dumps(document))


def _update_repository(client: Any, repository: Resource, parameters: Properties) -> None:
    mutability = parameters.get("ImageTagMutability", "MUTABLE")
    client.put_image_tag_mutability(repositoryName=repository.name, imageTagMutability=mutability)


def _repository_parameters(properties: Properties) -> Properties:
    return without(properties, "LifecyclePolicy", "RepositoryPolicyText", "EmptyOnDelete")


def _first(resource: Resource, member: str) -> Any:
    return resource.response[member][0]


def _balancer_arn(balancer: Resource) -> str:
    return str(_first(balancer, "LoadBalancers")["LoadBalancerArn"])


def _balancer_attributes(client: Any, balancer: Resource) -> None:
    attributes = balancer.properties.get("LoadBalancerAttributes")
    if attributes:
        client.modify_load_balancer_attributes(LoadBalancerArn=_balancer_arn(balancer), Attributes=attributes)


def _group_arn(group: Resource) -> str:
    return str(_first(group, "TargetGroups")["TargetGroupArn"])


def _group_attributes(client: Any, group: Resource) -> None:
    attributes = group.properties.get("TargetGroupAttributes")
    if attributes:
        client.modify_target_group_attributes(TargetGroupArn=_group_arn(group), Attributes=attributes)
    targets = group.properties.get("Targets")
    if targets:
        client.register_targets(TargetGroupArn=_group_arn(group), Targets=targets)


def _update_group(_client: Any, group: Resource, parameters: Properties) -> None:
    changes = _only(parameters, *_TARGET_GROUP_CHANGES)
    group.call("modify_target_group", changes | {"TargetGroupArn": _group_arn(group)})


def _listener_arn(listener: Resource) -> str:
    return str(_first(listener, "Listeners")["ListenerArn"])


def _update_listener(_client: Any, listener: Resource, parameters: Properties) -> None:
    changes = without(parameters, "LoadBalancerArn", "Tags")
    listener.call("modify_listener", changes | {"ListenerArn": _listener_arn(listener)})


def _rule_arn(rule: Resource) -> str:
    return str(_first(rule, "Rules")["RuleArn"])


def _update_rule(_client: Any, rule: Resource, parameters: Properties) -> None:
    rule.call("modify_rule", _only(parameters, "Conditions", "Actions") | {"RuleArn": _rule_arn(rule)})


def _scalable_target(properties: Properties) -> Properties:
    # ScheduledActions belong to another API (PutScheduledAction); our templates have none.
    return without(properties, "ScheduledActions") if not properties.get("ScheduledActions") else properties


def _scalable_target_key(resource: Resource) -> dict[str, str]:
    """Return the three parts that name a scalable target, from the target or from a policy of it."""
    names = ("ServiceNamespace", "ResourceId", "ScalableDimension")
    return {name: resource.properties[name] for name in names}


def _scaling_policy(properties: Properties) -> Properties:
    parameters = dict(properties)
    target = parameters.pop("ScalingTargetId", None)
    if target:
        resource, dimension, namespace = str(target).split("|")
        parameters |= {"ResourceId": resource, "ScalableDimension": dimension, "ServiceNamespace": namespace}
    for kind in ("TargetTracking", "StepScaling"):
        if f"{kind}ScalingPolicyConfiguration" in parameters:
            parameters.setdefault("PolicyType", f"{kind.removesuffix('Scaling')}Scaling")
    return parameters


def _delete_policy(client: Any, policy: Resource) -> None:
    names = ("ServiceNamespace", "ResourceId", "ScalableDimension", "PolicyName")
    client.delete_scaling_policy(**_only(_scaling_policy(policy.properties), *names))


def _egress_rule(properties: Properties) -> Properties:
    permission: Properties = {"IpProtocol": properties["IpProtocol"]}
    permission |= _only(properties, "FromPort", "ToPort")
    note = _only(properties, "Description")
    if "CidrIp" in properties:
        permission["IpRanges"] = [{"CidrIp": properties["CidrIp"], **note}]
    if "CidrIpv6" in properties:
        permission["Ipv6Ranges"] = [{"CidrIpv6": properties["CidrIpv6"], **note}]
    if "DestinationSecurityGroupId" in properties:
        permission["UserIdGroupPairs"] = [{"GroupId": properties["DestinationSecurityGroupId"], **note}]
    if "DestinationPrefixListId" in properties:
        permission["PrefixListIds"] = [{"PrefixListId": properties["DestinationPrefixListId"], **note}]
    return {"GroupId": properties["GroupId"], "IpPermissions": [permission]}


def _delete_egress_rule(client: Any, rule: Resource) -> None:
    client.revoke_security_group_egress(**rule.type.parameters(rule.properties))


def _task_definition_arn(definition: Resource) -> str:
    return str(definition.response["taskDefinition"]["taskDefinitionArn"])


TYPES: tuple[ResourceType, ...] = (
    ResourceType(
        "AWS::ECS::Cluster", "ecs", "create_cluster",
        name_property="ClusterName",
        physical_id=lambda cluster: cluster.name,
        attributes={"Arn": lambda cluster: cluster.response["cluster"]["clusterArn"]},
        parameters=_cluster_parameters,
        update=lambda _, cluster, parameters: cluster.response.update(
            cluster.call("update_cluster", without(parameters, "ClusterName", "Tags", "CapacityProviders",
                         "DefaultCapacityProviderStrategy") | {"Cluster": cluster.name})
        ),
        delete=lambda client, cluster: client.delete_cluster(cluster=cluster.name),
    ),
    ResourceType(
        "AWS::ECS::TaskDefinition", "ecs", "register_task_definition",
        physical_id=_task_definition_arn,
        attributes={"TaskDefinitionArn": _task_definition_arn},
        delete=lambda client, definition: client.deregister_task_definition(
            taskDefinition=definition.physical_resource_id
        ),
    ),
    ResourceType(
        "AWS::ECS::Service", "ecs", "create_service",
        name_property="ServiceName",
        physical_id=_service_arn,
        attributes={"Name": lambda service: service.response["service"]["serviceName"], "ServiceArn": _service_arn},
        update=_update_service,
        delete=_delete_service,
        replaced_by=("Cluster", "LaunchType", "DeploymentController"),
        has_system_tags=True,
    ),
    ResourceType(
        "AWS::ECR::Repository", "ecr", "create_repository",
        name_property="RepositoryName",
        physical_id=lambda repository: repository.name,
        attributes={
            "Arn": lambda repository: repository.response["repository"]["repositoryArn"],
            "RepositoryUri": lambda repository: repository.response["repository"]["repositoryUri"],
        },
        parameters=_repository_parameters,
        finish=_repository_settings,
        update=_update_repository,
        delete=lambda client, repository: client.delete_repository(
            repositoryName=repository.name, force=bool(repository.properties.get("EmptyOnDelete"))
        ),
    ),
    ResourceType(
        "AWS::ElasticLoadBalancingV2::LoadBalancer", "elbv2", "create_load_balancer",
        name_property="Name",
        physical_id=_balancer_arn,
        attributes={
            "LoadBalancerArn": _balancer_arn,
            "LoadBalancerFullName": lambda balancer: _balancer_arn(balancer).split("loadbalancer/", 1)[1],
            "LoadBalancerName": lambda balancer: balancer.name,
            "DNSName": lambda balancer: _first(balancer, "LoadBalancers")["DNSName"],
            "CanonicalHostedZoneID": lambda balancer: _first(balancer, "LoadBalancers")["CanonicalHostedZoneId"],
            "SecurityGroups": lambda balancer: _first(balancer, "LoadBalancers").get("SecurityGroups", []),
        },
        parameters=lambda properties: without(properties, "LoadBalancerAttributes"),
        finish=_balancer_attributes,
        update=lambda *_: None,
        delete=lambda client, balancer: client.delete_load_balancer(LoadBalancerArn=_balancer_arn(balancer)),
        replaced_by=("Scheme", "Type", "Subnets", "SecurityGroups"),
    ),
    ResourceType(
        "AWS::ElasticLoadBalancingV2::TargetGroup", "elbv2", "create_target_group",
        name_property="Name",
        physical_id=_group_arn,
        attributes={
            "TargetGroupArn": _group_arn,
            "TargetGroupFullName": lambda group: _group_arn(group).rsplit(":", 1)[1],
            "TargetGroupName": lambda group: group.name,
            "LoadBalancerArns": lambda group: _first(group, "TargetGroups").get("LoadBalancerArns", []),
        },
        parameters=lambda properties: without(properties, "TargetGroupAttributes", "Targets"),
        finish=_group_attributes,
        update=_update_group,
        delete=lambda client, group: client.delete_target_group(TargetGroupArn=_group_arn(group)),
        replaced_by=("Port", "Protocol", "VpcId", "TargetType"),
    ),
    ResourceType(
        "AWS::ElasticLoadBalancingV2::Listener", "elbv2", "create_listener",
        physical_id=_listener_arn,
        attributes={"ListenerArn": _listener_arn},
        update=_update_listener,
        delete=lambda client, listener: client.delete_listener(ListenerArn=_listener_arn(listener)),
        replaced_by=("LoadBalancerArn",),
    ),
    ResourceType(
        "AWS::ElasticLoadBalancingV2::ListenerRule", "elbv2", "create_rule",
        physical_id=_rule_arn,
        attributes={"RuleArn": _rule_arn},
        update=_update_rule,
        delete=lambda client, rule: client.delete_rule(RuleArn=_rule_arn(rule)),
        replaced_by=("ListenerArn",),
    ),
    ResourceType(
        "AWS::ApplicationAutoScaling::ScalableTarget", "application-autoscaling", "register_scalable_target",
        physical_id=lambda target: "|".join(
            target.properties[name] for name in ("ResourceId", "ScalableDimension", "ServiceNamespace")
        ),
        parameters=_scalable_target,
        update=lambda _, target, parameters: target.response.update(
            target.call("register_scalable_target", parameters)
        ),
        delete=lambda client, target: client.deregister_scalable_target(**_scalable_target_key(target)),
        replaced_by=("ResourceId", "ScalableDimension", "ServiceNamespace"),
    ),
    ResourceType(
        "AWS::ApplicationAutoScaling::ScalingPolicy", "application-autoscaling", "put_scaling_policy",
        name_property="PolicyName",
        physical_id=lambda policy: str(policy.response["PolicyARN"]),
        attributes={"Arn": lambda policy: policy.response["PolicyARN"]},
        parameters=_scaling_policy,
        update=lambda _, policy, parameters: policy.response.update(policy.call("put_scaling_policy", parameters)),
        delete=_delete_policy,
    ),
    ResourceType(
        "AWS::EC2::SecurityGroupEgress", "ec2", "authorize_security_group_egress",
        physical_id=lambda rule: str((rule.response.get("SecurityGroupRules") or [{}])[0].get("SecurityGroupRuleId")),
        parameters=_egress_rule,
        delete=_delete_egress_rule,
    ),
)  # fmt: skip
