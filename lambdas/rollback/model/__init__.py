"""Pure domain of a rollback: values in, values out; imports neither boto3 nor httpx."""
