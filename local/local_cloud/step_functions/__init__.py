"""Step Functions of the embedded cloud: moto's interpreter of the Amazon States Language executes our definitions.

Implemented here are the scaled clock for waits, retries, timeouts and heartbeats; calls of tasks with the state
machine's role; and the status events and metrics. moto's interpreter (LocalStack's) is repaired in
`local_cloud.moto_fixes.step_functions`. Not simulated: Redrive, TestState, logging, quotas. Sources: Amazon States
Language specification; Step Functions developer guide, "Handling errors in workflows" and "AWS SDK service
integrations".
"""
