"""Faults that a test injects into the embedded AWS: stale answers, a busy stack, and services that are down.

Nothing here is random and nothing waits. Each fault stands for a documented behaviour of AWS that the embedded cloud
never shows by itself. Neon's faults are in `local_cloud.neon.faults`.
"""
