"""The stand-in application: what runs as a process in place of an image's containers.

`application` is the HTTP server, `database` its statements, and `command` a one-off task. An annotation of the image's
manifest describes the behaviour. These files run by path with the standard library alone, without this package: a
task sees no package of this repository. The behaviours are failures that a rollback repairs.
"""
