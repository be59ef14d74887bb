"""GitHub of the embedded cloud: the part of its REST API that the product uses, which refuses what GitHub refuses.

Simulated: tokens, Apps and permissions, commit statuses, deployments, issues with labels and comments, pages, moved
repositories, and lists that show a new issue late. Not simulated: git itself, pull requests, webhooks, notifications,
GraphQL, ETags, organisations. `faults` has the faults that a test injects. docs/github.md names the evidence.
"""
