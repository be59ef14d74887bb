"""Commands by which a person decides about a waiting rollback."""

import shlex


def decision_commands(environment: str, rollback_id: str) -> tuple[str, str]:
    """Return the commands that approve and reject a rollback, ready to paste but for the reason."""
    approve, reject = (
        f"{shlex.join(('rollback', verb, environment, rollback_id))} --reason '…'" for verb in ("approve", "reject")
    )
    return approve, reject
