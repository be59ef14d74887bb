"""Options that every verb has: how much is printed, and the stack."""

from dataclasses import dataclass


@dataclass
class CommonOptions:
    """Options of one run of the command.

    Attributes:
        is_quiet: print results and errors only, no progress.
        is_verbose: print each request to AWS with its id to standard error.
        is_debug: print the traceback of an error.
        stack: name of the stack whose outputs name the environment's resources; None: the default.
    """

    is_quiet: bool = False
    is_verbose: bool = False
    is_debug: bool = False
    stack: str | None = None


common_options = CommonOptions()  # `rollback_cli.main` sets its fields, once in a process
