"""Say which reports of a direct rollback have not arrived: the functions that send them may be broken."""

from collections.abc import Iterator

from rollback.delivery.channels import CHANNELS
from rollback.domain.rollback import Rollback
from rollback.errors import RollbackError
from rollback.ports.all_ports import AllPorts


def describe_undelivered(rollback: Rollback, ports: AllPorts) -> Iterator[str]:
    """Describe what SNS did not take, and what the functions still have to deliver; nothing if all has arrived."""
    if not rollback.is_reported:
        yield (
            "The report was not sent: SNS did not take it, so nobody was notified or paged. The report above is "
            "complete. The janitor sends it once SNS and the janitor work"
        )
    due: list[str] = []
    try:
        for channel in CHANNELS:
            delivery = ports.ledger.delivery(rollback.id, channel.name)
            if delivery is not None and delivery.is_due:
                due.append(channel.name.replace("_", " "))
    except RollbackError as failure:
        yield f"Whether the other channels have the report is not known: {failure}"
        return
    if due:
        yield (
            f"Not delivered yet: {', '.join(due)}. The function report sends them within moments. While EventBridge "
            "or that function is broken, nothing is sent there, and the janitor sends them once it works"
        )
