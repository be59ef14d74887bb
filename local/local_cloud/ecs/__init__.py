"""ECS of the embedded cloud: a simulation of services and tasks on moto's clusters and task definitions.

Simulated: rolling deployments with minimum and maximum percent, circuit breaker, deployment alarms and early success
criteria; service deployments and revisions with pinned image digests; StopServiceDeployment; RunTask; task secrets;
events. A task is a real process. Not simulated: blue/green and canary strategies, EC2 capacity, Service Connect's
network, ExecuteCommand, StartTask. Sources: ECS developer guide and API reference, quoted where a fact isn't obvious.
"""
