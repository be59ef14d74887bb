"""The embedded cloud: AWS's APIs and Neon's on this machine, for the demo and for tests.

`deployment.server.LocalCloud` is the entry. Each package simulates one part of AWS on moto's state, and its docstring
says what is simulated and what is not. `moto_fixes` repairs moto. Each fix is removed when moto has it.
`docs/local-cloud.md` has the commands and the limits.
"""
