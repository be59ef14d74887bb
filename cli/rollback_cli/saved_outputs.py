"""A copy of a stack's outputs on this machine, for the day CloudFormation does not answer.

Each command that reads the outputs writes the copy. A copy belongs to an account, a region and an endpoint: outputs of
another account are never used. It has names and ARNs only, and no secret.
"""

import glob
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rollback_cli.shell.aws_session import AwsSession, make_client
from rollback_cli.shell.cache_folder import cache_folder, replace_file


@dataclass(frozen=True)
class SavedOutputs:
    """Outputs of a stack, as an earlier command read them.

    Attributes:
        account: the account that the outputs belong to.
        is_account_checked: STS confirmed that the present credentials belong to that account.
    """

    outputs: Mapping[str, Any]
    saved_at: datetime
    account: str
    is_account_checked: bool

    def describe_age(self, now: datetime) -> str:
        """Describe the age, and what the copy can't show."""
        unchecked = (
            "" if self.is_account_checked else ", and STS could not be asked for the account of your credentials"
        )
        return (
            f"the copy of the stack's outputs of {self.saved_at:%Y-%m-%d %H:%M} UTC, {_in_words(now - self.saved_at)} "
            f"old, for account {self.account}. Later deployments of the stack are not in it{unchecked}"
        )


def save_outputs(stack: str, outputs: Mapping[str, Any], now: datetime | None = None) -> None:
    """Write the copy. A failure never fails the command: the copy is for another day."""
    from rollback.resources.aws.account_and_region import AccountAndRegion  # noqa: PLC0415 - after the first request

    place = AccountAndRegion.of_arn(str(outputs.get("TopicArn", "")))
    if place is None:
        return
    record = {
        "saved_at": (now or datetime.now(UTC)).isoformat(),
        "account": place.account,
        "endpoint": _endpoint(),
        "outputs": dict(outputs),
    }
    with suppress(OSError):
        replace_file(_path(cache_folder(), place.account, place.region, stack), json.dumps(record))


def load_outputs(stack: str) -> SavedOutputs | None:
    """Read the copy that belongs to the present credentials, region and endpoint; None: there is none.

    Without an answer of STS a copy is used only if there is one for one account alone.
    """
    region = AwsSession().region_name or ""
    pattern = f"outputs-*-{glob.escape(region)}-{glob.escape(stack)}.json"
    saved = [each for each in map(_read, cache_folder().glob(pattern)) if each is not None]
    account = _present_account()
    if account is not None:
        return next((_checked(each) for each in saved if each.account == account), None)
    return saved[0] if len(saved) == 1 else None


def _checked(saved: SavedOutputs) -> SavedOutputs:
    return SavedOutputs(saved.outputs, saved.saved_at, saved.account, is_account_checked=True)


def _read(path: Path) -> SavedOutputs | None:
    """Read one copy; None: it is damaged, or belongs to another endpoint."""
    try:
        record = json.loads(path.read_text())
        if record["endpoint"] != _endpoint():
            return None
        outputs, saved_at = dict(record["outputs"]), datetime.fromisoformat(record["saved_at"])
        return SavedOutputs(outputs, saved_at.astimezone(UTC), str(record["account"]), is_account_checked=False)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _present_account() -> str | None:
    """Ask STS for the account of the credentials; None: STS does not answer."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        return str(make_client("sts", read_timeout=5, attempts=1).get_caller_identity()["Account"])
    except (BotoCoreError, ClientError):
        return None


def _endpoint() -> str:
    """Return the address that replaces AWS's, such as an embedded cloud's; empty: none does."""
    return os.environ.get("AWS_ENDPOINT_URL", "")


def _path(folder: Path, account: str, region: str, stack: str) -> Path:
    return folder / f"outputs-{account}-{region}-{stack}.json"


def _in_words(age: timedelta) -> str:
    minutes = max(0, int(age.total_seconds() // 60))
    if minutes < 120:
        return "1 minute" if minutes == 1 else f"{minutes} minutes"
    hours = minutes // 60
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"
