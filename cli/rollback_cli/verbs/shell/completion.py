"""`rollback completion SHELL`: the script that completes this command in a shell."""

from enum import StrEnum
from typing import Annotated

import typer

from rollback_cli.shell.words import COMPLETE


class Shell(StrEnum):
    """Shells that have a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


# Each script passes the words up to the cursor, the unfinished one last, and gets one candidate a line. A shell that
# offers nothing of ours completes file names, which `--migrations` and `--html` take.
_SCRIPTS = {
    Shell.BASH: f"""_rollback() {{
    local IFS=$'\\n'
    COMPREPLY=($(rollback {COMPLETE} "${{COMP_WORDS[@]:1:COMP_CWORD}}" 2>/dev/null))
}}
complete -o default -F _rollback rollback
""",
    Shell.ZSH: f"""#compdef rollback
_rollback() {{
    local -a candidates
    candidates=("${{(@f)$(rollback {COMPLETE} "${{(@)words[2,CURRENT]}}" 2>/dev/null)}}")
    if [[ -n "${{candidates[*]}}" ]]; then
        compadd -a candidates
    else
        _files
    fi
}}
compdef _rollback rollback
""",
    Shell.FISH: f"""function __rollback_candidates
    set -l tokens (commandline -opc) (commandline -ct)
    rollback {COMPLETE} $tokens[2..-1] 2>/dev/null
end
complete -c rollback -a '(__rollback_candidates)'
""",
}


def completion(shell: Annotated[Shell, typer.Argument(help="shell that runs the script")]) -> None:
    """Print the script that completes verbs, options and names in a shell.

    Names of environments, services, versions and rollbacks are those that this machine has seen; nothing is asked of
    AWS. For bash: `eval "$(rollback completion bash)"`.
    """
    print(_SCRIPTS[shell], end="")
