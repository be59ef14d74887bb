"""IAM of the embedded cloud: identity policies and permissions boundaries decide over every call of a role.

Simulated: temporary credentials of roles, the permissions that each API call needs (AWS Service Authorization
Reference), policy evaluation with conditions and variables, and the signature of GetCallerIdentity. Not simulated:
other signatures, trust policies, resource policies, service control policies.
moto keeps roles and policies. Its own enforcement isn't used, since it ignores
resources and conditions.
"""
