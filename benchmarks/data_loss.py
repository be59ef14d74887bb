"""Measure the data loss report on the local Neon with real Postgres: seconds, memory, size of the report.

make bench ROWS=2000000            # a table of two million rows: no row, few rows and every row changed
"""

import argparse
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from contract.neon_projects import LocalProject

from local_cloud.neon.cluster import DATABASE
from local_cloud.neon.project import Limits
from local_cloud.neon.server import LocalNeon
from rollback.database.data_loss.compare_branches import Comparison
from rollback.database.data_loss.compare_branches import Limits as CompareLimits

_CASES = {
    "no row changed": "SELECT 1",
    "1,000 rows changed": "UPDATE orders SET status = 'bad' WHERE id <= 1000",
    "every row changed": "UPDATE orders SET status = 'bad'",
}


def main() -> None:
    """Print seconds, memory and size for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=2_000_000)
    rows = parser.parse_args().rows
    with LocalNeon() as neon:
        project = LocalProject(neon, Limits())
        root = project.databases.branch_named("main")
        assert root is not None
        project.run(root.id, "CREATE TABLE orders (id bigint PRIMARY KEY, status text, at timestamptz DEFAULT now())")
        project.run(root.id, f"INSERT INTO orders (id, status) SELECT i, 'good' FROM generate_series(1, {rows}) i")  # noqa: S608
        base = project.databases.create_branch("base", root.id, with_endpoint=True).branch
        project.settle()
        sys.stdout.write(f"{rows:,} rows\n")
        for name, statement in _CASES.items():
            project.run(root.id, statement)
            _measure(name, project, root.id, base.id)
        project.close()


def _measure(name: str, project: LocalProject, backup_id: str, base_id: str) -> None:
    backup, base = (project.databases.connection_uri(branch, DATABASE, "app_owner") for branch in (backup_id, base_id))
    limits = CompareLimits(is_over=lambda: False, now=time.monotonic, sums_seconds=600, rows_seconds=600, keys=True)
    comparison, started = Comparison(project.sql, backup, base, DATABASE, limits), time.monotonic()
    comparison.compare_remaining()
    seconds, report = time.monotonic() - started, comparison.report
    changed_rows = sum(table.changed_rows or 0 for table in report.tables)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = len(report.model_dump_json())
    sys.stdout.write(
        f"  {name:20} {seconds:6.1f} s, {changed_rows:,} changed, at most {memory:.0f} MB so far, "
        f"report of {size} bytes\n"
    )


if __name__ == "__main__":
    main()
