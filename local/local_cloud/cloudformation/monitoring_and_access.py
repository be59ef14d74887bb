"""CloudFormation types of monitoring and access: alarms, logs, IAM, secrets, keys, bucket policies."""

import json
import secrets
import string
from typing import Any

from local_cloud.cloudformation.types import Properties, Resource, ResourceType, without
from local_cloud.listing import list_all


def _alarm_arn(alarm: Resource) -> str:
    return f"arn:aws:cloudwatch:{alarm.region}:{alarm.account}:alarm:{alarm.name}"


def _alarm(name: str, create: str) -> ResourceType:
    return ResourceType(
        name,
        "cloudwatch",
        create,
        name_property="AlarmName",
        physical_id=lambda alarm: alarm.name,
        attributes={"Arn": _alarm_arn},
        update=lambda _, alarm, parameters: alarm.response.update(alarm.call(create, parameters)),
        delete=lambda client, alarm: client.delete_alarms(AlarmNames=[alarm.name]),
    )


def _log_group_parameters(properties: Properties) -> Properties:
    tags = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
    names = {"LogGroupName", "KmsKeyId", "LogGroupClass"}
    return {name: value for name, value in properties.items() if name in names} | {"tags": tags}


def _retention(client: Any, group: Resource) -> None:
    days = group.properties.get("RetentionInDays")
    if days:
        client.put_retention_policy(logGroupName=group.name, retentionInDays=int(days))
        return
    matches = list_all(client, "describe_log_groups", "logGroups", logGroupNamePrefix=group.name)
    if any(match["logGroupName"] == group.name and match.get("retentionInDays") for match in matches):
        client.delete_retention_policy(logGroupName=group.name)


def _metric_filter_parameters(properties: Properties) -> Properties:
    transformations = [
        transformation | ({"Dimensions": {pair["Key"]: pair["Value"] for pair in transformation["Dimensions"]}})
        if "Dimensions" in transformation
        else transformation
        for transformation in properties["MetricTransformations"]
    ]
    return properties | {"MetricTransformations": transformations}


def _role_parameters(properties: Properties) -> Properties:
    return without(properties, "ManagedPolicyArns", "Policies")


def _role_policies(client: Any, role: Resource) -> None:
    """Give the role exactly its own managed and inline policies. Policies of AWS::IAM::Policy resources stay."""
    managed = set(role.properties.get("ManagedPolicyArns", []))
    own = {policy["PolicyName"]: policy["PolicyDocument"] for policy in role.properties.get("Policies", [])}
    previous = role.response.setdefault("own", {"managed": [], "inline": []})
    for arn in set(previous["managed"]) - managed:
        client.detach_role_policy(RoleName=role.name, PolicyArn=arn)
    for name in set(previous["inline"]) - set(own):
        client.delete_role_policy(RoleName=role.name, PolicyName=name)
    for arn in managed:
        client.attach_role_policy(RoleName=role.name, PolicyArn=arn)
    for name, document in own.items():
        client.put_role_policy(RoleName=role.name, PolicyName=name, PolicyDocument=json.dumps(document))
    role.response["own"] = {"managed": sorted(managed), "inline": sorted(own)}


def _update_role(client: Any, role: Resource, parameters: Properties) -> None:
    trust = json.dumps(parameters["AssumeRolePolicyDocument"])
    client.update_assume_role_policy(RoleName=role.name, PolicyDocument=trust)
    duration = int(parameters.get("MaxSessionDuration", 3600))
    client.update_role(RoleName=role.name, Description=parameters.get("Description", ""), MaxSessionDuration=duration)


def _delete_role(client: Any, role: Resource) -> None:
    for policy in list_all(client, "list_attached_role_policies", "AttachedPolicies", RoleName=role.name):
        client.detach_role_policy(RoleName=role.name, PolicyArn=policy["PolicyArn"])
    for name in list_all(client, "list_role_policies", "PolicyNames", RoleName=role.name):
        client.delete_role_policy(RoleName=role.name, PolicyName=name)
    client.delete_role(RoleName=role.name)


def _inline_policy(client: Any, policy: Resource) -> None:
    document, name = json.dumps(policy.properties["PolicyDocument"]), policy.properties["PolicyName"]
    previous, roles = policy.response.get("roles", []), policy.properties.get("Roles", [])
    for role in set(previous) - set(roles):
        client.delete_role_policy(RoleName=role, PolicyName=name)
    for role in roles:
        client.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
    policy.response["roles"] = roles


def _delete_inline_policy(client: Any, policy: Resource) -> None:
    for role in policy.properties.get("Roles", []):
        names = list_all(client, "list_role_policies", "PolicyNames", RoleName=role)
        if policy.properties["PolicyName"] in names:
            client.delete_role_policy(RoleName=role, PolicyName=policy.properties["PolicyName"])


def _managed_policy_parameters(properties: Properties) -> Properties:
    parameters = without(properties, "Roles", "Users", "Groups", "ManagedPolicyName")
    return parameters | {"PolicyName": properties["ManagedPolicyName"]}


def _managed_policy_arn(policy: Resource) -> str:
    return str(policy.response["Policy"]["Arn"])


def _attach(client: Any, policy: Resource) -> None:
    for role in policy.properties.get("Roles", []):
        client.attach_role_policy(RoleName=role, PolicyArn=_managed_policy_arn(policy))


def _update_managed_policy(client: Any, policy: Resource, parameters: Properties) -> None:
    arn, document = _managed_policy_arn(policy), json.dumps(parameters["PolicyDocument"])
    for version in list_all(client, "list_policy_versions", "Versions", PolicyArn=arn):
        if not version["IsDefaultVersion"]:
            client.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    client.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)


def _delete_managed_policy(client: Any, policy: Resource) -> None:
    arn = _managed_policy_arn(policy)
    for role in list_all(client, "list_entities_for_policy", "PolicyRoles", PolicyArn=arn):
        client.detach_role_policy(RoleName=role["RoleName"], PolicyArn=arn)
    client.delete_policy(PolicyArn=arn)


def _key_parameters(properties: Properties) -> Properties:
    parameters = without(properties, "EnableKeyRotation", "RotationPeriodInDays", "Enabled", "PendingWindowInDays",
                          "KeyPolicy", "Tags")  # fmt: skip
    tags = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in properties.get("Tags", [])]
    policy = {"Policy": json.dumps(properties["KeyPolicy"])} if "KeyPolicy" in properties else {}
    return parameters | policy | {"Tags": tags}


def _key_id(key: Resource) -> str:
    return str(key.response["KeyMetadata"]["KeyId"])


def _key_rotation(client: Any, key: Resource) -> None:
    if key.properties.get("EnableKeyRotation"):
        client.enable_key_rotation(KeyId=_key_id(key))


def _update_key(client: Any, key: Resource, parameters: Properties) -> None:
    client.put_key_policy(KeyId=_key_id(key), PolicyName="default", Policy=parameters["Policy"])


def _secret_parameters(properties: Properties) -> Properties:
    generate = properties.get("GenerateSecretString")
    parameters = without(properties, "GenerateSecretString", "ReplicaRegions")
    if generate is None:
        return parameters
    excluded = set(generate.get("ExcludeCharacters", ""))
    alphabet = [letter for letter in string.ascii_letters + string.digits if letter not in excluded]
    password = "".join(secrets.choice(alphabet) for _ in range(int(generate.get("PasswordLength", 32))))
    if "GenerateStringKey" not in generate:
        return parameters | {"SecretString": password}
    filled = json.loads(generate.get("SecretStringTemplate", "{}")) | {generate["GenerateStringKey"]: password}
    return parameters | {"SecretString": json.dumps(filled)}


def _secret_arn(secret: Resource) -> str:
    return str(secret.response["ARN"])


def _update_secret(client: Any, secret: Resource, parameters: Properties) -> None:
    client.update_secret(SecretId=_secret_arn(secret), Description=parameters.get("Description", ""))


TYPES: tuple[ResourceType, ...] = (
    _alarm("AWS::CloudWatch::Alarm", "put_metric_alarm"),
    _alarm("AWS::CloudWatch::CompositeAlarm", "put_composite_alarm"),
    ResourceType(
        "AWS::CloudWatch::Dashboard", "cloudwatch", "put_dashboard",
        name_property="DashboardName",
        physical_id=lambda dashboard: dashboard.name,
        update=lambda _, dashboard, parameters: dashboard.response.update(
            dashboard.call("put_dashboard", parameters)
        ),
        delete=lambda client, dashboard: client.delete_dashboards(DashboardNames=[dashboard.name]),
    ),
    ResourceType(
        "AWS::Logs::LogGroup", "logs", "create_log_group",
        name_property="LogGroupName",
        physical_id=lambda group: group.name,
        attributes={"Arn": lambda group: f"arn:aws:logs:{group.region}:{group.account}:log-group:{group.name}:*"},
        parameters=_log_group_parameters,
        finish=_retention,
        update=lambda *_: None,
        delete=lambda client, group: client.delete_log_group(logGroupName=group.name),
    ),
    ResourceType(
        "AWS::Logs::ResourcePolicy", "logs", "put_resource_policy",
        name_property="PolicyName",
        physical_id=lambda policy: policy.name,
        update=lambda _, policy, parameters: policy.response.update(policy.call("put_resource_policy", parameters)),
        delete=lambda client, policy: client.delete_resource_policy(policyName=policy.name),
    ),
    ResourceType(
        "AWS::Logs::MetricFilter", "logs", "put_metric_filter",
        name_property="FilterName",
        physical_id=lambda metric_filter: metric_filter.name,
        parameters=_metric_filter_parameters,
        update=lambda _, metric_filter, parameters: metric_filter.response.update(
            metric_filter.call("put_metric_filter", parameters)
        ),
        delete=lambda client, metric_filter: client.delete_metric_filter(
            logGroupName=metric_filter.properties["LogGroupName"], filterName=metric_filter.name
        ),
        replaced_by=("LogGroupName",),
    ),
    ResourceType(
        "AWS::IAM::Role", "iam", "create_role",
        name_property="RoleName",
        physical_id=lambda role: role.name,
        attributes={"Arn": lambda role: role.response["Role"]["Arn"],
                    "RoleId": lambda role: role.response["Role"]["RoleId"]},
        parameters=_role_parameters,
        finish=_role_policies,
        update=_update_role,
        delete=_delete_role,
        replaced_by=("Path",),
    ),
    ResourceType(
        "AWS::IAM::Policy", "iam", "list_roles",  # without effect: `finish` puts the policy on its roles
        physical_id=lambda policy: policy.name,
        attributes={"Id": lambda policy: policy.name},
        parameters=lambda _: {"MaxItems": 1},
        finish=_inline_policy,
        update=lambda *_: None,
        delete=_delete_inline_policy,
        replaced_by=("PolicyName",),
    ),
    ResourceType(
        "AWS::IAM::ManagedPolicy", "iam", "create_policy",
        name_property="ManagedPolicyName",
        physical_id=_managed_policy_arn,
        attributes={"PolicyArn": _managed_policy_arn},
        parameters=_managed_policy_parameters,
        finish=_attach,
        update=_update_managed_policy,
        delete=_delete_managed_policy,
    ),
    ResourceType(
        "AWS::KMS::Key", "kms", "create_key",
        physical_id=_key_id,
        attributes={"Arn": lambda key: key.response["KeyMetadata"]["Arn"], "KeyId": _key_id},
        parameters=_key_parameters,
        finish=_key_rotation,
        update=_update_key,
        delete=lambda client, key: client.schedule_key_deletion(KeyId=_key_id(key), PendingWindowInDays=7),
        replaced_by=("KeySpec", "KeyUsage"),
    ),
    ResourceType(
        "AWS::SecretsManager::Secret", "secretsmanager", "create_secret",
        name_property="Name",
        physical_id=_secret_arn,
        attributes={"Id": _secret_arn},
        parameters=_secret_parameters,
        update=_update_secret,
        delete=lambda client, secret: client.delete_secret(
            SecretId=_secret_arn(secret), ForceDeleteWithoutRecovery=True
        ),
    ),
    ResourceType(
        # Accepted without effect: moto reads conditions of bucket policies wrongly, and would refuse everything.
        "AWS::S3::BucketPolicy", "s3", "list_buckets",
        physical_id=lambda policy: policy.name,
        parameters=lambda _: {},
        update=lambda *_: None,
    ),
)  # fmt: skip
