"""Shim of CloudWatch's alarm mute rules, which MiniStack lacks: no rule exists."""

from typing import Any

from ministack import app

_ANSWER = b'{"AlarmMuteRuleSummaries": []}'


def install() -> None:
    """Answer ListAlarmMuteRules; IAM has decided before MiniStack calls the handler."""
    plain = app.SERVICE_HANDLERS["monitoring"]

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
        if headers.get("x-amz-target", "").endswith(".ListAlarmMuteRules"):
            return 200, {"Content-Type": "application/x-amz-json-1.0"}, _ANSWER
        return await plain(method, path, headers, body, query)

    app.SERVICE_HANDLERS["monitoring"] = handle
