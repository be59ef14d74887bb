"""CloudFormation of the embedded cloud: resource types that CDK templates use, each created through its service's API.

Implemented here are the types: `types` (the mechanism), `monitoring_and_access` (alarms, logs, IAM, secrets, keys),
`serverless` (Lambda, Step Functions, EventBridge, SNS, SQS, DynamoDB) and `workloads` (ECS, ECR, ELB, scaling). A
property that the API does not know is refused, not dropped. moto has its own classes for other types. The engine is
moto's, repaired in `local_cloud.moto_fixes.cloudformation`. Not simulated: rollback of a failed stack, drift, nested
stacks, and the time that changes take. Sources: CloudFormation's template reference and each service's model in
botocore.
"""
