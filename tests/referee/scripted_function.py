"""Function behind every task of a scripted execution: it records its event and plays the next act of the script.

Both clouds run it. A script is a list of acts: {"return": …}, {"raise": CLASS, "message": …}, {"exit": CODE} or
{"sleep": SECONDS}. The last act is repeated.
"""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any


def handler(event: dict[str, Any], context: object) -> Any:
    """Play the next act. The script has the name of the execution, which the cursor carries as `id`."""
    cursor = event.get("cursor") or event.get("event") or {}
    name = event["execution"].rpartition(":")[2] if "execution" in event else cursor["id"]
    folder = Path(os.environ["SCRIPTS"])
    with (folder / f"{name}.{os.environ['CLOUD']}.calls").open("a+") as calls:
        fcntl.flock(calls, fcntl.LOCK_EX)
        calls.seek(0)
        number = len(calls.readlines())
        calls.write(json.dumps(event, sort_keys=True) + "\n")
    script = json.loads((folder / f"{name}.json").read_text())
    act = script[min(number, len(script) - 1)]
    if "exit" in act:
        os._exit(act["exit"])
    if "sleep" in act:
        time.sleep(act["sleep"])
    if "raise" in act:
        raise type(act["raise"], (Exception,), {})(act["message"])
    return act.get("return")
