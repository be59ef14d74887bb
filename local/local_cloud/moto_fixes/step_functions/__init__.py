"""Fixes of moto's Step Functions: its API, its check of definitions, and its interpreter of the Amazon States Language.

moto's interpreter is LocalStack's. `local_cloud.step_functions` has the scaled clock, the roles of tasks and the status
events.
"""
