"""EventBridge of the embedded cloud, implemented here on moto's buses and rules: delivery, retries and schedules.

Simulated: targets of Step Functions, Lambda, SNS, SQS and CloudWatch Logs with each target's role; InputPath and
InputTransformer; retry policies and dead-letter queues; `rate(...)` schedules; events of AWS services. Not simulated:
`cron(...)`, archives, pipes, API destinations, buses of other accounts. moto matches the patterns. Sources: EventBridge
user guide, "Event retry policy", "Dead-letter queues" and "Input transformation".
"""
