"""Verbs that put a service back under, or out of, automatic control."""
