"""Findings of cdk-nag's packs NIST 800-53 R5 and Serverless that are intended, by the type of the resource.

`acknowledgements.py` has those of the pack AWS Solutions, which are about single resources.
"""

from collections.abc import Mapping

from aws_cdk import Acknowledgment, CfnResource, Validations
from constructs import IConstruct

_KEYS = "AWS's own key encrypts; a key of the team's own is a setting, keys"
_OWNER = "the account's owner decides"
_ASYNCHRONOUS = (
    "Step Functions waits for the function; events that a rule sends to it have a queue for failures "
    "(AWS::Lambda::EventInvokeConfig)"
)

# Type of a resource → rule → reason.
_INTENDED: Mapping[str, Mapping[str, str]] = {
    "AWS::Lambda::Function": {
        "NIST.800.53.R5-LambdaConcurrency": "the setting functions.reserved_concurrency: small accounts can't",
        "NIST.800.53.R5-LambdaDLQ": _ASYNCHRONOUS,
        "NIST.800.53.R5-LambdaInsideVPC": "the function calls public APIs only; functions.probes_in_vpc places those "
        "that call a private load balancer",
        "Serverless-LambdaDLQ": _ASYNCHRONOUS,
        "Serverless-LambdaLatestVersion": "the bundle is compiled for this Python minor version",
    },
    "AWS::IAM::Policy": {
        "NIST.800.53.R5-IAMNoInlinePolicy": "the policy is of one role only, and has to go with it",
    },
    "AWS::CloudWatch::Alarm": {
        "NIST.800.53.R5-CloudWatchAlarmAction": "EventBridge, or a composite alarm, acts on this alarm",
    },
    "AWS::CloudWatch::CompositeAlarm": {
        "NIST.800.53.R5-CloudWatchAlarmAction": "a rule of EventBridge starts the rollback",
    },
    "AWS::DynamoDB::Table": {
        "NIST.800.53.R5-DynamoDBInBackupPlan": "35 days of point-in-time recovery; the owner decides about AWS Backup",
    },
    "AWS::S3::Bucket": {
        "NIST.800.53.R5-S3BucketLoggingEnabled": f"{_OWNER} about access logs",
        "NIST.800.53.R5-S3BucketReplicationEnabled": "a report can be written again from the ledger",
        "NIST.800.53.R5-S3DefaultEncryptionKMS": _KEYS,
    },
    "AWS::Logs::LogGroup": {"NIST.800.53.R5-CloudWatchLogGroupEncrypted": _KEYS},
    "AWS::SNS::Topic": {"NIST.800.53.R5-SNSEncryptedKMS": _KEYS},
    "AWS::SNS::Subscription": {
        "Serverless-SNSRedrivePolicy": "a page that SNS could not deliver in 23 days has no use; the team names two "
        "recipients",
    },
    "AWS::SQS::Queue": {"Serverless-SQSRedrivePolicy": "this queue is a dead-letter queue itself"},
    "AWS::ElasticLoadBalancingV2::LoadBalancer": {
        "NIST.800.53.R5-ALBWAFEnabled": f"{_OWNER} about a web application firewall",
        "NIST.800.53.R5-ELBDeletionProtectionEnabled": "the setting workload.retain; off where the stack may go",
        "NIST.800.53.R5-ELBLoggingEnabled": "access logs need a bucket of the account; the alarms use metrics",
    },
    "AWS::ElasticLoadBalancingV2::Listener": {
        "NIST.800.53.R5-ALBHttpToHttpsRedirection": "the setting workload.certificate_arn makes the listener HTTPS",
        "NIST.800.53.R5-ELBv2ACMCertificateRequired": "the setting workload.certificate_arn",
    },
    "AWS::EC2::VPC": {
        "NIST.800.53.R5-VPCFlowLogsEnabled": f"{_OWNER} about flow logs",
        "NIST.800.53.R5-VPCDefaultSecurityGroupClosed": "nothing uses the group; closing it takes a custom resource "
        "with a function of its own",
    },
    "AWS::EC2::Route": {
        "NIST.800.53.R5-VPCNoUnrestrictedRouteToIGW": "the load balancer, or its NAT gateway, is in a public subnet",
    },
    "AWS::EC2::Subnet": {
        "NIST.800.53.R5-VPCSubnetAutoAssignPublicIpDisabled": "the load balancer of a public API is in this subnet",
    },
}


def acknowledge_by_type(scope: IConstruct) -> None:
    """Acknowledge the intended findings on each resource in a scope."""
    for part in scope.node.find_all():
        if not isinstance(part, CfnResource):
            continue
        for rule, reason in _INTENDED.get(part.cfn_resource_type, {}).items():
            pack, _, _ = rule.rpartition("-")
            Validations.of(part).acknowledge(Acknowledgment(id=f"{pack}::{rule}", reason=reason))
