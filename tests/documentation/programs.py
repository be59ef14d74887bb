"""Judges commands of documentation, each by what knows the program: the program itself, its model, or a list here."""

import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from documentation import aws_command, rollback_command
from documentation.pages import ROOT
from documentation.shell import Command

from local_cloud.neon import api as neon_api
from rollback.domain.settings.database import NEON_API

CDK = ROOT / ".tools" / "node_modules" / ".bin" / "cdk"
# Programs of a team's own pipeline and of migration tools: examples, of which only the name is known here.
OF_THE_TEAM = frozenset({"alembic", "bin/rails", "flyway", "npx", "pnpm"})
# The options that the pages use, by the manual of each program. An option that is not here has to be looked up first.
_OPTIONS: dict[str, frozenset[str]] = {
    "awk": frozenset({"-F"}),
    "cat": frozenset(),
    "cd": frozenset(),
    "cut": frozenset({"-f", "-d"}),
    "date": frozenset({"-u", "-d"}),
    "docker": frozenset({"--username", "--password-stdin", "--tag", "--platform"}),
    "echo": frozenset(),
    "eval": frozenset(),
    "git": frozenset({"--oneline", "--tags", "--"}),
    "grep": frozenset({"-c", "-v", "-w", "-E", "-q"}),
    "head": frozenset({"-n"}),
    "jq": frozenset({"-r", "-e", "--raw-output", "--arg", "--exit-status"}),
    "mkdir": frozenset({"-p"}),
    "psql": frozenset({"-c"}),
    "python": frozenset({"-m"}),
    "python3": frozenset({"-m"}),
    "read": frozenset({"-r"}),
    "set": frozenset({"-e"}),
    "sleep": frozenset(),
    "source": frozenset(),
    "sort": frozenset({"-r", "-k", "-t"}),
    "tail": frozenset({"-n"}),
    "tee": frozenset({"-a"}),
    "test": frozenset({"-n", "-z"}),
    "uniq": frozenset({"-c"}),
    "wc": frozenset({"-l"}),
}
_SUBCOMMANDS = {
    "docker": frozenset({"login", "build", "push"}),
    "git": frozenset({"checkout", "clone", "commit", "diff", "log", "pull", "push", "rev-parse", "tag"}),
}
_FOR_ALL = frozenset({"--help", "--version"})


def judge(command: Command) -> Iterator[str]:
    """Yield what is wrong with a command, for each of its alternatives."""
    for words in command.alternatives():
        program, arguments = _program(words[0]), words[1:]
        match program:
            case "rollback":
                yield from rollback_command.judge(arguments)
            case "aws":
                yield from aws_command.judge(arguments)
            case "cdk":
                yield from _judge_cdk(arguments)
            case "make":
                yield from _judge_make(arguments)
            case "curl":
                yield from _judge_curl(arguments)
            case "pytest" | "ruff" | "mypy" | "mkdocs":
                yield from _judge_paths(arguments)
            case "xargs":
                yield from _judge_xargs(arguments, command.line)
            case _ if program in _OPTIONS:
                yield from _judge_listed(program, arguments)
            case _ if program not in OF_THE_TEAM:
                yield f"program {program} is not known: add what judges it to {Path(__file__).name}"


def _judge_xargs(arguments: tuple[str, ...], line: int) -> Iterator[str]:
    """Judge the command that `xargs` runs, with a word of its input in the place of `ID`."""
    words, mark = list(arguments), None
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option not in {"-I", "-n", "-n1", "-r"}:
            yield f"xargs {option}: look the option up, and add it to {Path(__file__).name}"
        value = words.pop(0) if option in {"-I", "-n"} and words else None
        mark = value if option == "-I" else mark
    inner = [word.replace(mark, "ID") for word in words] if mark is not None else [*words, "ID"]
    if words:  # without a command, xargs only joins the lines of its input
        yield from judge(Command(tuple(inner), line))


def _program(word: str) -> str:
    """Return a program without the folder that `make` installs it into."""
    return word.removeprefix(".venv/bin/").removeprefix(".tools/node_modules/.bin/")


def is_program(word: str) -> bool:
    """Whether a line that begins with the word is a command."""
    known = {"rollback", "aws", "cdk", "make", "curl", "pytest", "ruff", "mypy", "mkdocs", "xargs", "export"}
    return _program(word) in known | _OPTIONS.keys() | OF_THE_TEAM


def _judge_listed(program: str, arguments: tuple[str, ...]) -> Iterator[str]:
    if program in _SUBCOMMANDS and (not arguments or arguments[0] not in _SUBCOMMANDS[program] | _FOR_ALL):
        yield f"{program} {' '.join(arguments[:1])}: known are {', '.join(sorted(_SUBCOMMANDS[program]))}"
    for argument in arguments:
        option = argument.partition("=")[0]
        is_known = option in _OPTIONS[program] | _FOR_ALL or (option[1:2] != "-" and option[:2] in _OPTIONS[program])
        if re.match(r"--?[a-zA-Z]", option) and not is_known and program != "python":
            yield f"{program} {option}: look the option up, and add it to {Path(__file__).name}"


# make


@cache
def _makefile() -> str:
    return (ROOT / "Makefile").read_text()


def _judge_make(arguments: tuple[str, ...]) -> Iterator[str]:
    targets = set(re.findall(r"^([a-z-]+):", _makefile(), re.MULTILINE))
    for argument in arguments:
        name, is_variable, _ = argument.partition("=")
        if is_variable and f"$({name})" not in _makefile() and f"$(if $({name})" not in _makefile():
            yield f"the Makefile reads no variable {name}"
        if not is_variable and name not in targets:
            yield f"make {name}: targets are {', '.join(sorted(targets))}"


# cdk


@cache
def cdk_help(command: str) -> str:
    """Return the help of the CDK's command line, from itself."""
    process = subprocess.run([CDK, *command.split(), "--help"], capture_output=True, text=True, check=True, timeout=300)
    return process.stdout


def _judge_cdk(arguments: tuple[str, ...]) -> Iterator[str]:
    if not CDK.exists():
        yield "the CDK's command line is not installed, so nothing judges this command: run `make tools`"
        return
    command, rest = arguments[0], arguments[1:]
    if not re.search(rf"^  cdk {re.escape(command)}\b", cdk_help(""), re.MULTILINE):
        yield f"the CDK has no command {command}"
        return
    stacks = {f"MacroAi{name}{kind}" for name in ("Production", "Staging", "Feature", "ProductionEu2")
              for kind in ("Stack", "RollbackStack")}  # fmt: skip
    for position, word in enumerate(rest):
        previous = rest[position - 1] if position else ""
        if word.startswith("-"):
            option = word.partition("=")[0]
            if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", cdk_help(command)):
                yield f"cdk {command} has no option {option}"
        elif previous in {"-c", "--context"}:
            yield from _judge_context(word)
        elif previous not in {"--require-approval", "--app", "--output", "--profile"} and word not in stacks:
            yield f"cdk {command} {word}: no such stack; known are {', '.join(sorted(stacks))}"


def _judge_context(word: str) -> Iterator[str]:
    key, _, value = word.partition("=")
    known = {"image_tag", "environments", "application", "rollback:overrides", "rollback:environments",
             "rollback:bundle_platform", "rollback:bundle_python", "rollback:bundle_bytecode",
             "rollback:clock_scale"}  # fmt: skip
    if key not in known:
        yield f"context {key} is read by nothing; known are {', '.join(sorted(known))}"
    if key == "rollback:overrides":
        json.loads(value)


# curl

_CURL_SWITCHES = frozenset({"--fail", "--fail-with-body", "--silent", "--show-error", "--location", "-f", "-s", "-L"})
_CURL_VALUES = frozenset(
    {"--output", "--write-out", "--header", "--request", "--data", "--max-time", "-H", "-X", "-d", "-o"}
)


def _judge_curl(arguments: tuple[str, ...]) -> Iterator[str]:
    method, body, urls, words = "", "", [], iter(arguments)
    for word in words:
        if word in _CURL_VALUES:
            value = next(words, None)
            if value is None:
                yield f"curl {word} needs a value"
            method = value or "" if word in {"-X", "--request"} else method
            body = value or "" if word in {"-d", "--data"} else body
        elif word.startswith("-") and word not in _CURL_SWITCHES:
            yield f"curl {word}: look the option up, and add it to {Path(__file__).name}"
        elif not word.startswith("-"):
            urls.append(word)
    if body:
        json.loads(body)
    if len(urls) != 1:
        yield f"curl needs one URL, and has {len(urls)}"
    for url in urls:
        if url.startswith("https://console.neon.tech"):
            yield from judge_neon(method or ("POST" if body else "GET"), url)


def judge_neon(method: str, url: str) -> Iterator[str]:
    """Yield why Neon's API has no such call; the local Neon's routes follow its specification."""
    base, path = f"{NEON_API}/projects/", urlsplit(url).path
    project, _, rest = url.partition("?")[0].removeprefix(base).partition("/")
    if not url.startswith(base) or not project:
        yield f"{url}: no URL of Neon's API, which begins with {base}"
        return
    below = "/" + re.sub(r"\$\w+|\{\w+\}", "br-main-abcdef", rest) if rest else ""
    if not any(route[0] == method and route[1].fullmatch(below) for route in neon_api._ROUTES):
        yield f"Neon's API has no {method} {path}"
    if unknown := parse_qs(urlsplit(url).query).keys() - {
        "limit",
        "search",
        "cursor",
        "pooled",
        "database_name",
        "role_name",
    }:
        yield f"{url}: unknown parameter {', '.join(sorted(unknown))}"


def _judge_paths(arguments: tuple[str, ...]) -> Iterator[str]:
    """Yield files of this repository that do not exist."""
    for argument in arguments:
        path = argument.partition("::")[0]
        if "/" in path and not path.startswith("-") and not (ROOT / path).exists():
            yield f"{path} does not exist"
