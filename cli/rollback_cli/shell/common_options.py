"""Options that every verb has: how much is printed."""

from dataclasses import dataclass


@dataclass
class CommonOptions:
    """Options of one run of the command.

    Attributes:
        is_quiet: print results and errors only, no progress.
        is_verbose: print each request to AWS with its id to standard error.
        is_debug: print the traceback of an error.
    """

    is_quiet: bool = False
    is_verbose: bool = False
    is_debug: bool = False


common_options = CommonOptions()  # `rollback_cli.main` sets its fields, once in a process
