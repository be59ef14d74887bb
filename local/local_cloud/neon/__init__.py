"""Neon of the embedded cloud: its API v2 on real Postgres 18 clusters, so that branches hold data.

Simulated: branches, endpoints, operations and the project's lock, protection, expiry, archiving, IP Allow,
point-in-time restore by Postgres's own recovery, PgBouncer's transaction pooling, and the proxy's refusals. Not
simulated: compute sizes, read replicas, consumption, the Data API, organisations, TLS. Sources: Neon's API
specification, its guides (restore, branch expiration, protected branches, logical replication) and the source of its
proxy and compute tools. Files name the source where a fact is not obvious. `faults` has the faults that a test
injects.
"""
