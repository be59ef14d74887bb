"""Direct mode: a rollback whose steps run in the operator's own process, when the automation is broken."""
