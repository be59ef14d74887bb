"""A repository's migrations and their impact on older releases; no Lambda function imports this package."""
