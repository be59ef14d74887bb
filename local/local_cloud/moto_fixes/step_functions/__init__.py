"""Fixes of moto's Step Functions: its API, its check of definitions, and its interpreter of the Amazon States Language.

moto's interpreter is LocalStack's. Ours are the scaled clock, the roles of tasks and the status events:
`local_cloud.step_functions`.
"""
