"""Elastic Load Balancing of the embedded cloud: an HTTP proxy for each listener of an Application Load Balancer.

Simulated: health checks of targets, round robin, fail-open, draining, weighted target groups, and the
AWS/ApplicationELB metrics as three nodes publish them. Not simulated: rules beside the default action, TLS, sticky
sessions, Network Load Balancers. moto keeps load balancers, listeners and target groups. Sources: ELB user guide,
"Target group health checks" and "CloudWatch metrics for your Application Load Balancer". `load` is a generator of
traffic for tests and the demo.
"""
