"""Metric math at one point in time: + - * /, comparisons, AND, OR, IF, FILL, SUM, AVG, MIN, MAX, ABS, parentheses.

None stands for a missing point. Operators treat "missing values in a time series" as 0, if another operand has a point
there. A division by zero is missing. IF takes 0 for a missing value of its true branch. Source: CloudWatch user guide,
"Metric math syntax and functions". Each `Reading` decides the cases that the guide leaves open, and an expression must
be right in all readings.
"""

import contextlib
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

Point = float | None
Value = Point | list[Point]
Points = Mapping[str, Point]
Expression = Callable[[Points], Value]


@dataclass(frozen=True)
class Reading:
    """A decision of the cases that the guide leaves open.

    Attributes:
        fills_empty: FILL makes points of a series that has none in the window of the evaluation.
        missing_is_zero: an operator takes a missing operand as 0, as the guide says; else the result is missing.
    """

    fills_empty: bool = True
    missing_is_zero: bool = True


class _CurrentReading:
    reading = Reading()


@contextlib.contextmanager
def read_as(reading: Reading) -> Iterator[None]:
    """Evaluate all alarms by this reading until the context ends."""
    previous_reading, _CurrentReading.reading = _CurrentReading.reading, reading
    try:
        yield
    finally:
        _CurrentReading.reading = previous_reading


class Scalar(float):
    """A number in an expression, which has no points in time."""


class Moment(dict[str, Point]):
    """Points at one time; `published` names the series that have a point anywhere in the window."""

    def __init__(self, points: Mapping[str, Point], published: frozenset[str]) -> None:
        super().__init__(points)
        self.published = published


_TOKEN = re.compile(r"\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|[<>=!]=|&&|\|\||[-+*/<>(),\[\]])")
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip
_AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "SUM": sum, "AVG": lambda values: sum(values) / len(values), "MIN": min, "MAX": max,
}  # fmt: skip


class UnsupportedExpression(Exception):
    """The embedded cloud can't evaluate this metric math."""


@dataclass(frozen=True)
class MetricMath:
    """A parsed expression, and the ids that it uses."""

    evaluate: Expression
    ids: frozenset[str]


def parse(text: str) -> MetricMath:
    """Parse an expression.

    Raises:
        UnsupportedExpression: the embedded cloud can't evaluate the expression.
    """
    parser = _Parser(text)
    expression = parser.disjunction()
    if parser.tokens:
        raise UnsupportedExpression(f"unexpected {parser.tokens[0]!r} in metric math: {text}")
    return MetricMath(expression, frozenset(parser.ids))


def _pointwise(function: Callable[..., float], *operands: Expression) -> Expression:
    def evaluate(points: Points) -> Value:
        values = [operand(points) for operand in operands]
        numbers = [value for value in values if isinstance(value, int | float)]
        series = [value for value in numbers if not isinstance(value, Scalar)]
        if len(numbers) < len(values) and not (series and _CurrentReading.reading.missing_is_zero):
            return None
        try:
            result = function(*(value if isinstance(value, int | float) else 0.0 for value in values))
        except ZeroDivisionError:
            return None
        return float(result) if series else Scalar(result)

    return evaluate


class _Parser:
    """A recursive-descent parser; the methods go from the loosest binding to the tightest."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.ids: set[str] = set()
        self.tokens = self._split(text)

    def _split(self, text: str) -> list[str]:
        tokens, position = [], 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                raise UnsupportedExpression(f"cannot read {text[position:]!r} in metric math: {text}")
            tokens.append(match[1])
            position = match.end()
        return tokens

    def disjunction(self) -> Expression:
        left = self._conjunction()
        while self._peek() in ("||", "OR"):
            self._next()
            left = _pointwise(lambda a, b: bool(a) or bool(b), left, self._conjunction())
        return left

    def _conjunction(self) -> Expression:
        left = self._comparison()
        while self._peek() in ("&&", "AND"):
            self._next()
            left = _pointwise(lambda a, b: bool(a) and bool(b), left, self._comparison())
        return left

    def _comparison(self) -> Expression:
        left = self._sum()
        while self._peek() in _COMPARISONS:
            left = _pointwise(_COMPARISONS[self._next()], left, self._sum())
        return left

    def _sum(self) -> Expression:
        left = self._product()
        while self._peek() in ("+", "-"):
            left = _pointwise(_ARITHMETIC[self._next()], left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._factor()
        while self._peek() in ("*", "/"):
            left = _pointwise(_ARITHMETIC[self._next()], left, self._factor())
        return left

    def _factor(self) -> Expression:
        token = self._next()
        if token == "-":
            return _pointwise(operator.neg, self._factor())
        if token == "(":
            inner = self.disjunction()
            self._expect(")")
            return inner
        if token == "[":
            return self._list()
        if token[0].isdigit():
            number = Scalar(token)
            return lambda _points: number
        if self._peek() == "(":
            return self._call(token.upper())
        if token[0].islower():
            self.ids.add(token)
            return lambda points: points.get(token)
        raise UnsupportedExpression(f"unexpected {token!r} in metric math: {self.text}")

    def _list(self) -> Expression:
        items = self._arguments("]")

        def evaluate(points: Points) -> Value:
            values = [item(points) for item in items]
            return [value for value in values if not isinstance(value, list)]

        return evaluate

    def _call(self, name: str) -> Expression:
        self._expect("(")
        earlier_ids = set(self.ids)
        arguments = self._arguments(")")
        if name == "IF" and len(arguments) in (2, 3):
            return _if(*arguments)
        if name == "FILL" and len(arguments) == 2:
            return _fill(arguments[0], arguments[1], frozenset(self.ids - earlier_ids))
        if name == "ABS" and len(arguments) == 1:
            return _pointwise(abs, *arguments)
        if name in _AGGREGATES and len(arguments) == 1:
            return _aggregate(_AGGREGATES[name], arguments[0])
        raise UnsupportedExpression(f"{name} with {len(arguments)} arguments is not supported: {self.text}")

    def _arguments(self, closing: str) -> list[Expression]:
        arguments = [self.disjunction()]
        while self._peek() == ",":
            self._next()
            arguments.append(self.disjunction())
        self._expect(closing)
        return arguments

    def _peek(self) -> str | None:
        return self.tokens[0] if self.tokens else None

    def _next(self) -> str:
        if not self.tokens:
            raise UnsupportedExpression(f"metric math ends too early: {self.text}")
        return self.tokens.pop(0)

    def _expect(self, token: str) -> None:
        if (actual := self._next()) != token:
            raise UnsupportedExpression(f"expected {token!r}, found {actual!r} in metric math: {self.text}")


def _if(condition: Expression, then: Expression, otherwise: Expression | None = None) -> Expression:
    def evaluate(points: Points) -> Value:
        decision = condition(points)
        if decision is None:
            return None
        if decision:
            value = then(points)
            return 0.0 if value is None and not isinstance(decision, Scalar) else value
        return otherwise(points) if otherwise else None

    return evaluate


def _fill(value: Expression, filler: Expression, ids: frozenset[str]) -> Expression:
    def evaluate(points: Points) -> Value:
        point = value(points)
        published = getattr(points, "published", ids)
        if point is not None or not (_CurrentReading.reading.fills_empty or ids & published):
            return point
        filling = filler(points)
        return float(filling) if isinstance(filling, Scalar) else filling

    return evaluate


def _aggregate(function: Callable[[list[float]], float], values: Expression) -> Expression:
    """Aggregate the present points of a list; missing without any. A single series is its own value."""

    def evaluate(points: Points) -> Value:
        members = values(points)
        present = [v for v in (members if isinstance(members, list) else [members]) if v is not None]
        return function(present) if present else None

    return evaluate
