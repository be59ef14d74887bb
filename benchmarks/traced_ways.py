"""Count the product files that a scenario enters, and the moves between them.

    python benchmarks/traced_ways.py [--files] NODE[@START..END] ...

NODE is a pytest node id. Counting goes from the first call of START to the first call of END after it. Both name
functions of tests or product by the end of `module.qualified name`: `Simulation.admit..FakeServices.update`. Without
START or END the count begins or ends with the test's call; fixtures never count. Each scenario has a process of its
own, so caches are cold. Imports don't count, nor does what they run. Product files are those of the package
`rollback`.

A move is a call or a return after which another product file runs than before. A fake, pydantic or the test may run in
between. Each thread counts its own moves. Adapters are entered only for what the fakes borrow from them.
"""

import argparse
import importlib.util
import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

PACKAGE = "rollback"
_SCENARIO = re.compile(r"(?P<node>.*?)(?:@(?P<start>[\w.]*?)\.\.(?P<end>[\w.]*))?")


@dataclass(frozen=True)
class Scenario:
    """A test, and the functions between whose calls it is counted; empty: the test's own start and end."""

    node: str
    start: str = ""
    end: str = ""

    @classmethod
    def read(cls, argument: str) -> "Scenario":
        """Read `NODE@START..END`."""
        match = _SCENARIO.fullmatch(argument)
        if match is None:
            raise ValueError(f"no scenario: {argument}")
        return cls(match["node"], match["start"] or "", match["end"] or "")


@dataclass
class Way:
    """Product files in the order in which they were entered, with the number of entries; and the number of moves."""

    entries: Counter[str] = field(default_factory=Counter)
    moves: int = 0
    has_started: bool = False
    has_ended: bool = False
    has_passed: bool = False


class _Thread(threading.local):
    """Product file that ran last in a thread, and how many imports are under way."""

    file: str | None = None
    imports: int = 0


class Tracer:
    """A pytest plugin that counts while a test runs."""

    def __init__(self, scenario: Scenario) -> None:
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise RuntimeError(f"no package {PACKAGE} on the path; install the repository or set PYTHONPATH")
        self._root = f"{Path(spec.origin).resolve().parent}{os.sep}"
        self._scenario = scenario
        self._thread = _Thread()
        self.way = Way(has_started=not scenario.start)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        """Count during the test's call; a test that fails has no figures."""
        with self._profiled():
            yield
        self.way.has_ended |= not self._scenario.end
        self.way.has_passed = True

    @contextmanager
    def _profiled(self) -> Iterator[None]:
        threading.setprofile(self._on_event)
        sys.setprofile(self._on_event)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _on_event(self, frame: FrameType, event: str, _: Any) -> None:
        if self.way.has_ended or event not in {"call", "return"}:
            return
        code, thread = frame.f_code, self._thread
        if code.co_name == "<module>":
            thread.imports += 1 if event == "call" else -1
        if thread.imports:
            return
        if event == "call" and _is_named(frame, self._scenario.start):
            self.way.has_started = True
        if event == "call" and self.way.has_started and _is_named(frame, self._scenario.end):
            self.way.has_ended = True
            return
        file = self._product_file(frame)
        if not self.way.has_started or file is None:
            return
        if event == "call":
            self._move(file)
            self.way.entries[file] += 1
        else:
            caller = frame.f_back
            while caller is not None and self._product_file(caller) is None:
                caller = caller.f_back
            if caller is not None:
                self._move(self._product_file(caller))

    def _move(self, file: str | None) -> None:
        self.way.moves += self._thread.file not in {None, file}
        self._thread.file = file

    def _product_file(self, frame: FrameType) -> str | None:
        name = frame.f_code.co_filename
        return name.removeprefix(self._root) if name.startswith(self._root) else None


def _is_named(frame: FrameType, name: str) -> bool:
    if not name or frame.f_code.co_name != name.rpartition(".")[2]:
        return False
    return f".{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}".endswith(f".{name}")


def measure(scenario: Scenario) -> Way:
    """Run a scenario's test in this process.

    Raises:
        RuntimeError: the test failed, or START or END was never called, so there is no figure.
    """
    tracer = Tracer(scenario)
    with redirect_stdout(sys.stderr):
        pytest.main([scenario.node, "-n", "0", "-p", "no:cacheprovider", "--no-header"], plugins=[tracer])
    if not (tracer.way.has_passed and tracer.way.has_started and tracer.way.has_ended):
        raise RuntimeError(f"{scenario}: the test must pass and call START and END; got {tracer.way}")
    return tracer.way


def main() -> None:
    """Print each scenario's figures."""
    parser = argparse.ArgumentParser(description="Count the files that a scenario enters and the moves between them.")
    parser.add_argument("scenarios", nargs="+", type=Scenario.read, metavar="NODE[@START..END]")
    parser.add_argument("--files", action="store_true", help="list the files in the order of their first entry")
    options = parser.parse_args()
    with ProcessPoolExecutor(max_workers=1, max_tasks_per_child=1) as processes:
        for scenario, way in zip(options.scenarios, processes.map(measure, options.scenarios), strict=True):
            span = f" from {scenario.start or 'its start'} to {scenario.end or 'its end'}"
            print(f"{len(way.entries):>4} files {way.moves:>6} moves  {scenario.node}{span}")
            if options.files:
                print(*(f"     {count:>6} entries  {file}" for file, count in way.entries.items()), sep="\n")


if __name__ == "__main__":
    main()
