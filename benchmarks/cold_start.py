"""Size of each function's bundle, and processor time of its handler's import, with and without bytecode.

    python benchmarks/cold_start.py [RUNS] [FILE.md]

Sizes are those of Lambda's processor. Each import is a process of its own with the interpreter of Lambda's version, on
this machine's processor; no client is made. Bundles with and without bytecode take turns, so that other work on the
machine meets both. A median is printed with the fastest and the slowest run.
"""

import io
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from rollback_constructs.functions.bundling import FUNCTIONS, BundleSettings, bundle
from rollback_constructs.functions.interpreter import find_interpreter

MARK_MILLISECONDS, MARK_BYTES = 350, 5_000_000  # an emergency waits for the function `service`
_IMPORT = """
import sys, time
sys.path.insert(0, sys.argv[1])
began = time.process_time()
import rollback.handlers
getattr(rollback.handlers, sys.argv[2])
print((time.process_time() - began) * 1000)
"""
Bytecode = Literal["compiled", "none"]


@dataclass(frozen=True)
class Sizes:
    """Bytes of one function's bundle."""

    zipped: int
    unzipped: int


def zipped_size(folder: Path) -> int:
    """Return the bytes of an archive as the CDK makes it, with the default compression."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            file.write(path, path.relative_to(folder))
    return len(archive.getvalue())


def import_milliseconds(interpreter: str, folder: Path, function: str) -> float:
    """Import a function in a new process; return the processor time of the import."""
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "POWERTOOLS_SERVICE_NAME": function}
    command = [interpreter, "-S", "-c", _IMPORT, str(folder), function]
    process = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    return float(process.stdout)


def measure_sizes() -> dict[str, Sizes]:
    """Build the bundles that are deployed, and return their sizes."""
    sizes = {}
    for function in FUNCTIONS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            bundle(folder, BundleSettings(), function)
            unzipped = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            sizes[function] = Sizes(zipped_size(folder), unzipped)
    return sizes


def measure_imports(runs: int) -> dict[tuple[str, Bytecode], list[float]]:
    """Import each function `runs` times; return sorted milliseconds of processor time, by function and bytecode."""
    default = BundleSettings()
    ways: tuple[Bytecode, ...] = ("compiled", "none")
    with tempfile.TemporaryDirectory() as temporary:
        folders: dict[tuple[str, Bytecode], Path] = {}
        for function, bytecode in product(FUNCTIONS, ways):
            settings = BundleSettings(platform=f"{platform.machine()}-manylinux_2_28", bytecode=bytecode)
            folders[function, bytecode] = Path(temporary, f"{function}-{bytecode}")
            bundle(folders[function, bytecode], settings, function)
        interpreter = find_interpreter(default.python)
        times: dict[tuple[str, Bytecode], list[float]] = {key: [] for key in folders}
        for run in range(runs + 1):
            for key, folder in folders.items():
                milliseconds = import_milliseconds(interpreter, folder, key[0])
                if run:  # the first run fills the page cache
                    times[key].append(milliseconds)
        return {key: sorted(milliseconds) for key, milliseconds in times.items()}


def table(sizes: dict[str, Sizes], imports: dict[tuple[str, Bytecode], list[float]], runs: int) -> str:
    """Write the results as a table of Markdown."""
    interpreter = find_interpreter(BundleSettings().python)
    version = subprocess.run([interpreter, "-V"], capture_output=True, text=True, check=True).stdout.strip()
    machine = f"{version}, {platform.machine()}, {os.cpu_count()} cores, n = {runs}"
    lines = [
        f"Import without clients, in milliseconds of processor time: median (fastest to slowest). {machine}.",
        "",
        "| Function | Zipped | Unzipped | With bytecode | Without |",
        "|---|---|---|---|---|",
    ]
    for function in FUNCTIONS:
        lines.append(
            f"| `{function}` | {sizes[function].zipped / 1e6:.1f} MB | {sizes[function].unzipped / 1e6:.1f} MB "
            f"| {_spread(imports[function, 'compiled'])} | {_spread(imports[function, 'none'])} |"
        )
    return "\n".join(lines)


def _spread(milliseconds: list[float]) -> str:
    return f"{statistics.median(milliseconds):.0f} ({milliseconds[0]:.0f} to {milliseconds[-1]:.0f})"


def main() -> int:
    """Print the table, and whether `service` is within its marks."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    sizes, imports = measure_sizes(), measure_imports(runs)
    text = table(sizes, imports, runs)
    print(text)
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(text + "\n")
    milliseconds = statistics.median(imports["service", "compiled"])
    size = sizes["service"].zipped
    print(f"service: {milliseconds:.0f} ms (mark {MARK_MILLISECONDS}), {size:,} bytes (mark {MARK_BYTES:,})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
