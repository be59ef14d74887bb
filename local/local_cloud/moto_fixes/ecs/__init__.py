"""Fixes of moto's ECS and Application Auto Scaling: cluster settings, task definitions, and scalable targets.

The simulation of services and tasks is ours: `local_cloud.ecs`.
"""
