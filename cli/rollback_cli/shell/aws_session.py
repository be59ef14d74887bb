"""Session of AWS's SDK for the command, with the default credentials and region.

boto3 would import s3transfer, a third of the time until the first request.
"""

import os
import sys
from typing import Any, cast

from rollback_cli.shell.common_options import common_options


class AwsSession:
    """Session that makes clients as `boto3.Session` does; with --verbose each answer is a line of standard error."""

    def __init__(self) -> None:
        import botocore.session  # noqa: PLC0415 - an error of the parser needs no SDK

        self._session = botocore.session.get_session()
        region = os.environ.get("AWS_REGION")  # botocore itself reads AWS_DEFAULT_REGION only, the AWS CLI reads both
        if region:
            self._session.set_config_variable("region", region)
        if common_options.is_verbose:
            self._session.register("after-call", cast("Any", _print_call))
            self._session.register("after-call-error", cast("Any", _print_failed_call))

    def client(self, service_name: str, region_name: str | None = None, config: Any = None) -> Any:
        """Make a client of a service."""
        return self._session.create_client(service_name, region_name=region_name, config=config)

    def get_credentials(self) -> Any:
        """Return the credentials; None: there are none."""
        return self._session.get_credentials()

    @property
    def region_name(self) -> str | None:
        """Return the region; None: there is none."""
        region: str | None = self._session.get_config_variable("region")
        return region


def make_client(service: str, read_timeout: float = 60, attempts: int = 3) -> Any:
    """Make a client of a service, with the default credentials and region.

    Args:
        service: name of the service.
        read_timeout: limit of one answer in seconds.
        attempts: most attempts of one call.
    """
    from botocore.config import Config  # noqa: PLC0415

    # A dead network is told within a minute. Every call that the command makes by itself may be sent twice: it reads,
    # or it has a name or a nonce of its own.
    config = Config(
        connect_timeout=5, read_timeout=read_timeout, retries={"mode": "standard", "total_max_attempts": attempts}
    )
    return AwsSession().client(service, config=config)


def _print_call(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
    """Print one answered call. Neither its input nor its answer is printed: both may hold secrets."""
    metadata = parsed.get("ResponseMetadata", {})
    error = parsed.get("Error", {}).get("Code", "")
    request_id = metadata.get("RequestId") or metadata.get("HostId") or "without an id"
    call = f"{model.service_model.service_name}:{model.name}"
    print(f"aws: {call} {http_response.status_code}{f' {error}' if error else ''} {request_id}", file=sys.stderr)


def _print_failed_call(exception: Exception, **_: Any) -> None:
    print(f"aws: no answer: {type(exception).__name__}: {exception}", file=sys.stderr)
