"""Findings of cfn-lint and checkov that are intended, with the reason. A row that no finding needs is an error too.

Those of cdk-nag are on the resources: `rollback_constructs.findings`.
"""

from collections.abc import Mapping

# Rule → reason.
CFN_LINT: Mapping[str, str] = {
    "W3005": "the CDK writes a DependsOn that a reference implies",
    "W6001": "the output Settings repeats the functions' settings, with the imported URL of the load balancer",
    "W3010": "the settings name the zones of the network",
}
# Rule and type of the resource → reason.
CHECKOV: Mapping[tuple[str, str], str] = {
    ("CKV_AWS_115", "AWS::Lambda::Function"): "reserved concurrency is a setting: small accounts can't reserve any",
    ("CKV_AWS_116", "AWS::Lambda::Function"): "Step Functions waits for the function; events have a queue for failures",
    ("CKV_AWS_117", "AWS::Lambda::Function"): "the function calls public APIs only; a setting places those that probe",
    ("CKV_AWS_173", "AWS::Lambda::Function"): "the variables have names and ARNs, no secret; AWS's own key encrypts",
    ("CKV_AWS_119", "AWS::DynamoDB::Table"): "AWS's own key encrypts; a key of the team's own is the setting keys",
    ("CKV_AWS_26", "AWS::SNS::Topic"): "a key of the team's own is the setting keys; AWS's key lets no alarm publish",
    ("CKV_AWS_158", "AWS::Logs::LogGroup"): "AWS's own key encrypts; a key of the team's own is the setting keys",
    ("CKV_AWS_27", "AWS::SQS::Queue"): "SQS's own key encrypts; EventBridge may not use AWS's key in KMS",
    ("CKV_AWS_18", "AWS::S3::Bucket"): "the account's owner decides about access logs",
    ("CKV_AWS_2", "AWS::ElasticLoadBalancingV2::Listener"): "HTTPS with the setting workload.certificate_arn",
    ("CKV_AWS_103", "AWS::ElasticLoadBalancingV2::Listener"): "TLS 1.2 with the setting workload.certificate_arn",
    ("CKV_AWS_260", "AWS::EC2::SecurityGroup"): "a public API is open to the public, by HTTP without a certificate",
    ("CKV_AWS_91", "AWS::ElasticLoadBalancingV2::LoadBalancer"): "access logs need a bucket of the account",
    ("CKV_AWS_136", "AWS::ECR::Repository"): "AWS's own key encrypts: images need no permission for a key",
    ("CKV_AWS_51", "AWS::ECR::Repository"): "a pipeline may move a tag; releases are identified by digest",
}
