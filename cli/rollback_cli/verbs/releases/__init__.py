"""Verbs about releases: what the ledger knows, what may be deployed, what may be a target."""
