"""Driver of the messages to a chat: httpx."""

from rollback.ports.webhooks import Webhooks


def make_webhooks() -> Webhooks:
    """Make the port of the messages to a chat."""
    from rollback.adapters.webhooks import HttpxWebhooks  # noqa: PLC0415 - httpx takes a while to import

    return HttpxWebhooks()
