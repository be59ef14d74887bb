"""Catalogue of the verbs. A verb's module is imported when the verb is invoked, since an import may take a second.

To add a verb, add a `Verb` here. Its `help` is the first paragraph of the docstring of its function; a test compares
the two.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

ROLLBACKS, RELEASES, OPERATIONS = "Rollbacks", "Releases", "Operations"
DEVELOPMENT = "Development (embedded cloud on this machine)"
SHELL = "Shell"


@dataclass(frozen=True)
class Verb:
    """One verb of the command.

    Attributes:
        name: word that an operator types.
        panel: heading of the verb in `rollback --help`.
        module: module below `rollback_cli.verbs`.
        function: function of the module, or a `typer.Typer` with verbs of its own.
        help: first paragraph of the function's docstring, in one line.
    """

    name: str
    panel: str
    module: str
    function: str
    help: str

    def load(self) -> Any:
        """Import the module, and return the function or the `typer.Typer`."""
        return getattr(import_module(f"rollback_cli.verbs.{self.module}"), self.function)


VERBS: tuple[Verb, ...] = (
    Verb(
        "start",
        ROLLBACKS,
        "rollbacks.start",
        "start",
        help="Roll a service, its database, or both back to the last known good release, or to a named one.",
    ),
    Verb(
        "status",
        ROLLBACKS,
        "rollbacks.status",
        "status",
        help="Show, for each service, what runs, whether a rollback could start now, and what an operator has to do.",
    ),
    Verb(
        "watch",
        ROLLBACKS,
        "rollbacks.watch",
        "watch",
        help="Print the progress of one rollback until it is concluded, then its report.",
    ),
    Verb(
        "history",
        ROLLBACKS,
        "rollbacks.history",
        "history",
        help="List the newest rollbacks of each service, with any outcome. Drills have the trigger `drill`.",
    ),
    Verb(
        "report",
        ROLLBACKS,
        "rollbacks.report",
        "report",
        help="Show the written account of one rollback. What your credentials may not read is named as not looked at.",
    ),
    Verb("show", ROLLBACKS, "rollbacks.show", "show", help="Show the whole report of one rollback."),
    Verb(
        "metrics",
        ROLLBACKS,
        "rollbacks.metrics",
        "metrics",
        help="Print deployment frequency, change failure rate and recovery times, as the ledger knows them.",
    ),
    Verb(
        "approve",
        ROLLBACKS,
        "rollbacks.approve",
        "approve",
        help="Approve a rollback that waits for an approval; the plan is made again, and must still be "
        "the approved one.",
    ),
    Verb(
        "reject",
        ROLLBACKS,
        "rollbacks.reject",
        "reject",
        help="Reject a rollback that waits for an approval; the rollback ends, and nothing is changed.",
    ),
    Verb(
        "abort",
        ROLLBACKS,
        "rollbacks.abort",
        "abort",
        help="End an open rollback; services that it has fenced stay fenced.",
    ),
    Verb(
        "undo",
        ROLLBACKS,
        "rollbacks.undo",
        "undo",
        help="Restore the database from the backup branch of a rollback; undoing a full rollback moves "
        "the service too.",
    ),
    Verb(
        "verify",
        ROLLBACKS,
        "rollbacks.verify",
        "verify",
        help="Check the running release with the checks of a rollback; changes nothing without --smoke.",
    ),
    Verb(
        "drill",
        ROLLBACKS,
        "rollbacks.drill",
        "drill",
        help="Rehearse a rollback on a healthy service; no release and no data change.",
    ),
    Verb(
        "versions",
        RELEASES,
        "releases.versions",
        "versions",
        help="List the known releases of each service, newest first: their states, and whether ECR "
        "still has their images.",
    ),
    Verb(
        "promote",
        RELEASES,
        "releases.promote",
        "promote",
        help="Make a release the last known good, without waiting for its bake; nothing is deployed.",
    ),
    Verb(
        "quarantine",
        RELEASES,
        "releases.quarantine",
        "quarantine",
        help="Mark a release as bad and remove it from the standing plan at once; running tasks are left alone.",
    ),
    Verb(
        "unquarantine",
        RELEASES,
        "releases.unquarantine",
        "unquarantine",
        help="Make a quarantined or suspect release a candidate: the ledger has no evidence for or against it then.",
    ),
    Verb(
        "check-deploy",
        RELEASES,
        "releases.check_deploy",
        "check_deploy",
        help="Say whether an image may be deployed; changes nothing.",
    ),
    Verb(
        "checkpoint",
        RELEASES,
        "releases.checkpoint",
        "checkpoint",
        help="Record the database's position, so that a rollback can restore it to before this version's migrations.",
    ),
    Verb(
        "init",
        OPERATIONS,
        "operations.init",
        "init",
        help="Describe a running ECS service in `cdk.json`, from what AWS shows of it; reads AWS, and changes nothing "
        "there.",
    ),
    Verb(
        "doctor",
        OPERATIONS,
        "operations.doctor",
        "doctor",
        help="Check whether an environment would really roll back; changes nothing.",
    ),
    Verb(
        "pause",
        OPERATIONS,
        "operations.pause",
        "pause",
        help="Switch automatic rollbacks of a service off; `rollback start` still works, an open rollback goes on.",
    ),
    Verb(
        "resume",
        OPERATIONS,
        "operations.resume",
        "resume",
        help="Switch automatic rollbacks of a paused service on again.",
    ),
    Verb(
        "unlock",
        OPERATIONS,
        "operations.unlock",
        "unlock",
        help="Free a service for the next rollback. Refused while the rollback that holds the lease is alive.",
    ),
    Verb(
        "unfence",
        OPERATIONS,
        "operations.unfence",
        "unfence",
        help="Start the tasks again, restore the recorded scaling, and protect the branch again.",
    ),
    Verb(
        "demo",
        DEVELOPMENT,
        "development.demo",
        "demo",
        help="Ship a bad release on the embedded cloud, and print how it is rolled back; needs no AWS account.",
    ),
    Verb(
        "local",
        DEVELOPMENT,
        "development.local",
        "app",
        help="Run the embedded cloud on this machine, and play an incident in it.",
    ),
    Verb(
        "completion",
        SHELL,
        "shell.completion",
        "completion",
        help="Print the script that completes verbs, options and names in a shell.",
    ),
)


def find_verb(name: str) -> Verb | None:
    """Find a verb by its name."""
    return next((verb for verb in VERBS if verb.name == name), None)
