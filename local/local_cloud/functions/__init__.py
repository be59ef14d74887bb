"""Lambda of the embedded cloud: functions run their deployed bundle in warm subprocesses.

Simulated: the Runtime API, cold and warm environments, timeouts (real seconds), reserved concurrency, CloudWatch Logs,
and each function's own role. Asynchronous invocations have retries, a dead-letter queue and a failure destination. Not
simulated: memory limits, layers, container images, event source mappings, versions, X-Ray. A function outside a VPC has
no route to `elb.load_balancer.PRIVATE_PREFIX`. moto keeps functions and settings, and would run them in Docker.
Sources: Lambda developer guide, "Using the Lambda runtime API for custom runtimes" and "Invoking a function
asynchronously".
"""
