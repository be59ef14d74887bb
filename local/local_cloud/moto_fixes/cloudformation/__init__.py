"""Fixes of moto's CloudFormation: stacks whose updates reach dependents, change sets, and termination protection."""
