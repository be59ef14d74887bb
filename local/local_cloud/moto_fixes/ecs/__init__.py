"""Fixes of moto's ECS and Application Auto Scaling: cluster settings, task definitions, and scalable targets.

`local_cloud.ecs` simulates services and tasks.
"""
