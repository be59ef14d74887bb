"""Rule about the address of a recreated branch: its services need the new host."""

from collections.abc import Sequence

from rollback.check import Check
from rollback.domain.settings.database import DatabaseSettings


def services_get_new_address(settings: DatabaseSettings, writers: Sequence[str], unreadable: str | None) -> Check:
    """The new connection URI can be written to the secret from which the services read it.

    Args:
        writers: names of the services that write to the branch.
        unreadable: why the new URI can't be written to the secret; None: it can.
    """
    name = "connection-secret"
    if settings.connection_secret_arn is None:
        objection = (
            f"{', '.join(writers)} would keep the address of the old branch: set connection_secret_arn, the secret "
            "that holds their connection URI; or reset the branch instead, which keeps its host"
        )
        return Check.failed_if(objection if writers else None, name, "no service reads the branch's address from us")
    return Check.failed_if(unreadable, name, f"{settings.connection_secret_arn} gets the new branch's address")
