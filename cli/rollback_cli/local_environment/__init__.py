"""The local environment of `rollback local`: a cloud on this machine, in which a newcomer plays an incident.

`environment` runs the cloud in the process of `rollback local up`. The other verbs are processes of their own: they
find the cloud by its record (`cloud_record`), and call it as any AWS client does.
"""
