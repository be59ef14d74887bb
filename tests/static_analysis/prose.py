"""Check the prose of code and docs: `python tests/static_analysis/prose.py [--count] [PATH ...]`.

Texts are docstrings, comments, messages and Markdown. Consecutive lines of comment are one text.

A message is any string literal or f-string that reads as prose:
    - It has four words or more, one of them in lower case and followed by a space.
    - Two thirds of all tokens are plain words.
    - It is no SQL, no regular expression, and no line ends in `;`, `{` or `}` or begins as Python or HTML does.

So reasons of checks, reports and exceptions are found wherever they are built, without a list of functions that print.
Two literals are no messages: the receiver of `.split()` is a list, and the left side of `in` quotes another text.

Rules:
    opening: a docstring, comment or message doesn't begin with a word of `OPENINGS`. A literal that continues another
        text is exempt: one inside a placeholder, to the right of `+`, or with a space or a sign at its start.
    long: a sentence has at most 30 words. Colons and semicolons end no sentence. List items, table cells, headings and
        the lines of a message do. A URL, a placeholder and inline code are one word each. Code and figures are skipped.
    missing: a public function, class or method of product code has a docstring. Exempt are dunder methods, `@override`,
        `@overload`, setters, and methods that a documented Protocol declares with the same parameters.
    subject: the docstring of a public definition or module of product code begins with a verb or a noun phrase. A word
        of `NO_SUBJECTS` begins neither. `Whether` is left to functions that return `bool`.
    fragment: no docstring begins with a lower-case word. Inline code and `LOWER_CASE_NAMES` may come first.
"""

import argparse
import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

PRODUCT = ("lambdas", "cli", "local", "constructs", "stacks", "publishing", "app.py")
CHECKED = (*PRODUCT, "tests", "benchmarks", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs")
SKIPPED = frozenset({"fixtures", "__pycache__", "__snapshots__", "cdk.out"})
MAX_WORDS = 30


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


OPENINGS = frozenset({"of", "what", "who", "by", "whoever", "nobody"})
_PRONOUNS = _set(
    """that it its this these those they them their he she his her we us you i somebody someone anybody anyone everybody
    everyone nothing something anything everything none"""
)
_QUESTIONS = _set("whatever whichever which whose whom why where when how whether")
_CONJUNCTIONS = _set("if unless because since although though while whereas and or but nor so yet not there here then")
_PREPOSITIONS = _set(
    """about above across after against along among around as at before behind below beside between beyond despite
    during for from in inside into like near on onto out outside over past per than through till to toward under until
    up upon via with within without"""
)
NO_SUBJECTS = OPENINGS | _PRONOUNS | _QUESTIONS | _CONJUNCTIONS | _PREPOSITIONS
LOWER_CASE_NAMES = _set("boto3 botocore psycopg pydantic httpx moto pytest hypothesis libpq pgbouncer squawk uv")

_PLACEHOLDER = "{…}"
_DIRECTIVE = re.compile(r"^(noqa|type: ignore|pragma|fmt|ruff|mypy|!)\b.*?(?: - |$)")
_SQL = re.compile(
    r"\s*(?:(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|WITH|SET|RESET|GRANT|REVOKE|BEGIN|COMMIT|LOCK|DO|VALUES)\b"
    r"|(?:select\b.*\bfrom|insert into|delete from|update \S+ set|alter|drop|truncate|grant|revoke)\b"
    r"|create (?:or replace |unique |temp )?(?:table|index|view|function|role|schema|sequence|type|trigger|extension)\b"
    r"|set (?:local )?\S+ (?:=|to)\s)",
    re.DOTALL,
)
_CODE_LINE = re.compile(r"\w\|\w|\(\?[:=!<]|[;{}]\s*$|^\s*(?:import|from \S+ import|def|class|<)\b", re.MULTILINE)
_PLAIN_WORD = re.compile(r"[(\"'“‘*]*[^\W\d_]+(?:[-'’][^\W\d_]+)*[.,;:!?)\"'”’*…]*$")
_FIRST_WORD = re.compile(r"[\s\"'“‘(*]*([^\W\d_]+(?:['’][a-z]+)?)(?![\w.(/=:-]*[\w(/])")
_INLINE_CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_SENTENCE_END = re.compile(r"(?:[.!?][\"'”’)\]*]*|…)\s+")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|cf|vs|approx)\.$")
_LIST_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+")
_SECTION = re.compile(r"[A-Z][a-z]+:$")
_FIGURE = re.compile(r"[├└│┌┐┘┬┴┼]|──|>>>|<!--")
_CODE_INDENT = 4


class Rule(StrEnum):
    """Names of the rules, as findings print them."""

    OPENING = "opening"
    LONG = "long"
    MISSING = "missing"
    SUBJECT = "subject"
    FRAGMENT = "fragment"


class Kind(StrEnum):
    """Places in which a text can stand."""

    DOCSTRING = "docstring"
    COMMENT = "comment"
    MESSAGE = "message"
    DOC = "doc"


@dataclass(frozen=True)
class Text:
    """A text and the line on which it begins; a continuation begins in the middle of a sentence."""

    kind: Kind
    line: int
    content: str
    is_continuation: bool = False
    needs_subject: bool = False
    may_ask_whether: bool = False


@dataclass(frozen=True)
class Finding:
    """A text that breaks a rule."""

    path: Path
    line: int
    rule: Rule
    excerpt: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.excerpt}"


@dataclass(frozen=True)
class Report:
    """Findings in one file, and how many docstrings the file has."""

    findings: tuple[Finding, ...]
    docstrings: int
    clean_docstrings: int


Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef
Documented = Definition | ast.Module
Signature = tuple[str, tuple[str, ...]]


# Splitting texts into sentences


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield paragraphs, list items, headings and table cells with their line offsets; skip code blocks."""
    block: list[str] = []
    start, is_fenced, in_section, in_list, after_blank = 0, False, False, False, False
    for number, line in enumerate(text.splitlines()):
        stripped = "" if _FIGURE.search(line) else line.strip()
        indent = len(line) - len(line.lstrip())
        is_fence = stripped.startswith(("```", "~~~"))
        is_code = (
            after_blank and indent >= _CODE_INDENT and not (in_section or in_list) and not stripped.startswith("|")
        )
        starts_block = (
            bool(_LIST_ITEM.match(line)) or stripped.startswith("#") or (in_section and indent == _CODE_INDENT)
        )
        if block and (not stripped or is_fence or starts_block or stripped.startswith("|")):
            yield start, " ".join(block)
            block = []
        if is_fence or is_fenced:
            is_fenced = is_fenced != is_fence
            continue
        if not stripped:
            after_blank = True
            continue
        if is_code:
            continue  # the next indented line is code too, since `after_blank` still holds
        after_blank = False
        if indent == 0:
            in_section, in_list = bool(_SECTION.match(stripped)), bool(_LIST_ITEM.match(line))
        if stripped.startswith("|"):
            yield from ((number, cell.strip()) for cell in re.split(r"(?<!\\)\|", stripped) if cell.strip(" -:"))
            continue
        if not block:
            start = number
        block.append(_LIST_ITEM.sub("", line, count=1).strip() if starts_block else stripped)
        if (in_section and indent == 0) or stripped.startswith("#"):
            yield start, " ".join(block)
            block = []
    if block:
        yield start, " ".join(block)


def sentences(block: str) -> Iterator[str]:
    """Yield the sentences of a paragraph, with links and inline code shortened to one word where they hold spaces."""
    text = _INLINE_CODE.sub(lambda code: code.group().replace(" ", "_"), _LINK.sub(r"\1", block))
    start = 0
    for match in _SENTENCE_END.finditer(text):
        is_pause = match.group().startswith("…") and not text[match.end() : match.end() + 1].isupper()
        if is_pause or _ABBREVIATION.search(text[: match.start() + 1]):
            continue
        yield text[start : match.end()].strip()
        start = match.end()
    if text[start:].strip():
        yield text[start:].strip()


def words(sentence: str) -> list[str]:
    """List the words; a lone sign is none, a placeholder is one."""
    return [
        token for token in sentence.split() if _PLACEHOLDER in token or any(character.isalnum() for character in token)
    ]


def first_word(text: str) -> str | None:
    """Return the word at the start, or None where a name, a number, inline code or a placeholder stands."""
    match = _FIRST_WORD.match(text)
    return re.split("['’]", match.group(1))[0] if match else None


def is_prose(literal: str) -> bool:
    """Tell a message from SQL, code and data, as the module's docstring defines it."""
    tokens = literal.split()
    if len(words(literal)) < 4 or not re.search(r"\b[a-z]+\s", literal):
        return False
    if _SQL.match(literal) or _CODE_LINE.search(literal.replace(_PLACEHOLDER, "")):
        return False
    plain_words = sum(bool(_PLAIN_WORD.match(token)) or _PLACEHOLDER in token for token in tokens)
    return plain_words * 3 >= len(tokens) * 2


# Finding texts in source files


def docstrings_of(tree: ast.Module, is_product: bool) -> Iterator[Text]:
    """Yield every docstring; those of public definitions and modules of product code need a subject."""
    public = {id(definition) for definition, _ in public_definitions(tree)} | {id(tree)} if is_product else set()
    for node in ast.walk(tree):
        if isinstance(node, Documented) and ast.get_docstring(node, clean=False) is not None:
            literal = _docstring_node(node)
            return_type = ast.unparse(node.returns) if isinstance(node, Function) and node.returns else ""
            yield Text(
                Kind.DOCSTRING,
                literal.lineno,
                _dedented(str(literal.value)),
                needs_subject=id(node) in public,
                may_ask_whether=return_type.startswith(("bool", "TypeGuard", "TypeIs")),
            )


def comments_of(source: str) -> Iterator[Text]:
    """Yield comments without linters' directives; comments that stand alone on consecutive lines are joined."""
    lines = source.splitlines()
    joined: list[str] = []
    start, last_row, column = 0, -1, -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        row, column_here = token.start
        content = _DIRECTIVE.sub("", re.sub(r"^#+:? ?", "", token.string))
        stands_alone = not lines[row - 1][:column_here].strip()
        if joined and stands_alone and (row, column_here) == (last_row + 1, column):
            joined.append(content)
        else:
            if joined:
                yield Text(Kind.COMMENT, start, "\n".join(joined))
            joined, start = [content], row
        last_row, column = row, column_here if stands_alone else -1
    if joined:
        yield Text(Kind.COMMENT, start, "\n".join(joined))


class _Messages(ast.NodeVisitor):
    """Collects literals that read as prose, docstrings aside."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[Text] = []
        self._docstrings = {
            id(_docstring_node(node))
            for node in ast.walk(tree)
            if isinstance(node, Documented) and ast.get_docstring(node, clean=False) is not None
        }
        self._is_continuation = False
        self.visit(tree)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and id(node) not in self._docstrings:
            self._add(node, node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        parts = (str(part.value) if isinstance(part, ast.Constant) else _PLACEHOLDER for part in node.values)
        self._add(node, "".join(parts))
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self._visit_as_continuation(part.value)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.visit(node.left)
        if isinstance(node.op, ast.Add):
            self._visit_as_continuation(node.right)
        else:
            self.visit(node.right)

    def visit_Call(self, node: ast.Call) -> None:
        if not (isinstance(node.func, ast.Attribute) and node.func.attr == "split"):
            self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        for operand, operator in zip(sides, [*node.ops, None], strict=True):
            if not isinstance(operator, ast.In | ast.NotIn):
                self.visit(operand)

    def _visit_as_continuation(self, node: ast.AST) -> None:
        was_continuation, self._is_continuation = self._is_continuation, True
        self.visit(node)
        self._is_continuation = was_continuation

    def _add(self, node: ast.expr, literal: str) -> None:
        if is_prose(literal):
            continues = self._is_continuation or not re.match(r"[\w\"'“‘(`{*]", literal)
            self.found.append(Text(Kind.MESSAGE, node.lineno, literal, is_continuation=continues))


def public_definitions(tree: ast.Module) -> Iterator[tuple[Definition, ast.ClassDef | None]]:
    """Yield public functions and classes of a module, and public methods of its public classes with their class."""
    pending: list[tuple[ast.stmt, ast.ClassDef | None]] = [(statement, None) for statement in tree.body]
    for statement, owner in pending:
        if isinstance(statement, ast.If | ast.Try):
            pending.extend((member, owner) for member in statement.body)
        elif isinstance(statement, Definition) and not statement.name.startswith("_"):
            yield statement, owner
            if isinstance(statement, ast.ClassDef):
                pending.extend((member, statement) for member in statement.body)


def undocumented(tree: ast.Module, declared: frozenset[Signature]) -> Iterator[Definition]:
    """Yield public definitions that need a docstring and have none."""
    for definition, owner in public_definitions(tree):
        decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in definition.decorator_list}
        is_declared = owner is not None and isinstance(definition, Function) and _signature(definition) in declared
        if not (is_declared or decorators & {"override", "overload", "setter"} or ast.get_docstring(definition)):
            yield definition


@cache
def documented_by_protocols(root: Path) -> frozenset[Signature]:
    """Collect the methods that Protocols of product code document for all their implementations."""
    return frozenset(
        _signature(method)
        for path in source_files([root / name for name in PRODUCT if (root / name).exists()])
        for definition, owner in public_definitions(ast.parse(path.read_text()))
        if owner is not None and any("Protocol" in ast.unparse(base) for base in owner.bases)
        for method in [definition]
        if isinstance(method, Function) and ast.get_docstring(method)
    )


def _signature(function: Function) -> Signature:
    arguments = function.args
    parameters = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    return function.name, tuple(argument.arg for argument in parameters)


def _docstring_node(node: Documented) -> ast.Constant:
    match node.body[0]:
        case ast.Expr(value=ast.Constant() as literal):
            return literal
        case _:
            raise ValueError(f"line {node.body[0].lineno}: no docstring")


def _dedented(docstring: str) -> str:
    """Remove the common indentation and keep every line, so that offsets hold."""
    first_line, *other_lines = docstring.expandtabs().split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in other_lines if line.strip()), default=0)
    return "\n".join([first_line.strip(), *(line[margin:].rstrip() for line in other_lines)])


# Judging texts


def broken_rules(text: Text) -> Iterator[tuple[Rule, int, str]]:
    """Yield each rule that a text breaks, with the line offset and an excerpt."""
    word = first_word(text.content)
    if text.kind is not Kind.DOC and not text.is_continuation and word is not None and word.lower() in OPENINGS:
        yield Rule.OPENING, 0, _excerpt(text.content)
    if text.kind is Kind.DOCSTRING and word is not None:
        has_subject = word.lower() not in NO_SUBJECTS or (word.lower() == "whether" and text.may_ask_whether)
        if text.needs_subject and not has_subject:
            yield Rule.SUBJECT, 0, _excerpt(text.content)
        if word.islower() and word not in LOWER_CASE_NAMES:
            yield Rule.FRAGMENT, 0, _excerpt(text.content)
    is_message = text.kind is Kind.MESSAGE  # a message's lines have no lines of source: `\n` may stand in it
    parts = ((0, line) for line in text.content.splitlines()) if is_message else blocks(text.content)
    for offset, block in parts:
        for sentence in sentences(block):
            if len(words(sentence)) > MAX_WORDS:
                yield Rule.LONG, offset, f"({len(words(sentence))} words) {_excerpt(sentence)}"


def _excerpt(text: str, most: int = 8) -> str:
    tokens = text.split()
    return " ".join(tokens[:most]) + (" …" if len(tokens) > most else "")


def check_file(path: Path, root: Path) -> Report:
    """Check a Python or Markdown file; its path decides whether the rules of product code hold."""
    relative_path = path.relative_to(root) if path.is_relative_to(root) else path
    source = path.read_text()
    findings: list[Finding] = []
    if path.suffix == ".md":
        texts = [Text(Kind.DOC, 1, source)]
    else:
        tree = ast.parse(source)
        is_product = relative_path.parts[0] in PRODUCT
        texts = [*docstrings_of(tree, is_product), *comments_of(source), *_Messages(tree).found]
        if is_product:
            documented = documented_by_protocols(root)
            findings = [
                Finding(relative_path, definition.lineno, Rule.MISSING, definition.name)
                for definition in undocumented(tree, documented)
            ]
    docstrings = clean = 0
    for text in texts:
        broken = [
            Finding(relative_path, text.line + offset, rule, excerpt) for rule, offset, excerpt in broken_rules(text)
        ]
        findings.extend(broken)
        docstrings += text.kind is Kind.DOCSTRING
        clean += text.kind is Kind.DOCSTRING and not broken
    return Report(tuple(sorted(findings, key=lambda finding: finding.line)), docstrings, clean)


def source_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield Python and Markdown files at and below the paths; a path that doesn't exist is an error of the caller."""
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            relative_path = file.relative_to(path) if path.is_dir() else Path()
            if file.suffix in {".py", ".md"} and not SKIPPED & set(relative_path.parts):
                yield file


def totals(findings: Iterable[Finding], depth: int) -> str:
    """Format a table of findings: folders down to a depth as rows, rules as columns."""
    counts = Counter(
        (folder, rule)
        for finding in findings
        for folder in ("/".join(finding.path.parts[:-1][:depth]) or str(finding.path), "total")
        for rule in (finding.rule, "all")
    )
    folders = sorted({folder for folder, _ in counts}, key=lambda folder: (folder == "total", folder))
    columns = [*Rule, "all"]
    width = max(map(len, folders), default=0)
    rows = [" " * width + "".join(f"{column:>10}" for column in columns)]
    rows += [
        f"{folder:<{width}}" + "".join(f"{counts[folder, column]:>10}" for column in columns) for folder in folders
    ]
    return "\n".join(rows)


def _print(*lines: object) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Print findings and totals; return 1 if there is a finding."""
    parser = argparse.ArgumentParser(description="Check the prose of code and docs.")
    parser.add_argument("paths", nargs="*", type=Path, help="files and folders (default: the whole repository)")
    parser.add_argument("--count", action="store_true", help="print totals by package and no findings")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the repository (default: the working directory)")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    paths = [path.resolve() for path in options.paths] or [root / name for name in CHECKED if (root / name).exists()]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        parser.error(f"no such file or folder: {', '.join(missing)}")
    reports = [check_file(path, root) for path in source_files(paths)]
    findings = [finding for report in reports for finding in report.findings]
    if findings and not options.count:
        _print(*findings, "")
    if findings:
        _print(totals(findings, depth=4 if options.count else 1))
    docstrings = sum(report.docstrings for report in reports)
    clean = sum(report.clean_docstrings for report in reports)
    _print(f"{len(reports)} files, {docstrings} docstrings ({clean} keep the rules), {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
