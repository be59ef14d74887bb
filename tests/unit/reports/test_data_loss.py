"""The data loss report: its lines, and its size."""

from support.builders import SERVICE, rollback

from rollback.domain.database.data_loss import DataLossReport, TableDataLoss
from rollback.domain.obligation import Obligation, ObligationKind
from rollback.domain.rollback import Rollback
from rollback.reports.data_loss import format_data_loss

EMPTY = DataLossReport(databases=1)


def table(
    name: str,
    rows_before: int,
    rows_after: int,
    removed_rows: int,
    *,
    keys: tuple[str, ...] | None = None,
    **changes: object,
) -> TableDataLoss:
    fields = {"changed_rows": 0, "returned_rows": 0, "removed_keys": keys, "changed_keys": None if keys is None else ()}
    data_loss = TableDataLoss(table=name, rows_before=rows_before, rows_after=rows_after, removed_rows=removed_rows)
    return TableDataLoss.model_validate({**dict(data_loss), **fields, **changes})


def test_the_tables_that_lost_most_rows_come_first_and_the_report_counts_the_others() -> None:
    report = EMPTY
    for number in range(60):
        report = report.add_compared_table(table(f"t{number:02}", 100, 100 - number, number))
    assert [table_loss.table for table_loss in report.tables[:2]] == ["t59", "t58"]
    assert (len(report.tables), report.more_tables, report.compared) == (50, 9, 60)
    assert "9 more tables differ" in format_data_loss(report)


def test_the_report_claims_no_data_loss_only_after_a_complete_comparison() -> None:
    complete_comparison = EMPTY.add_compared_table(table("a", 1, 1, 0))
    assert format_data_loss(complete_comparison)[0] == "the restore removed no row"
    for incomplete_comparison in (
        complete_comparison.add_counted_table(table("b", 5, 5, 0), "it took too long"),
        complete_comparison.add_uncompared_table("c", "row security hides rows from role app"),
        complete_comparison.evolve(unavailable="not done in 15 minutes"),
        EMPTY,
    ):
        assert "the restore removed no row" not in format_data_loss(incomplete_comparison)
    assert format_data_loss(complete_comparison.add_counted_table(table("b", 5, 5, 0), "it took too long")) == [
        "no difference was found in the tables that were compared, which are not all",
        "compared row by row: 1 table of 1 database",
        "only counted: b: 5 rows before, 5 after: it took too long",
    ]


def test_a_report_of_an_older_version_does_not_claim_a_complete_comparison() -> None:
    older = DataLossReport.model_validate({"tables": [], "more_tables": 0})
    assert format_data_loss(older) == ["no difference was found in the tables that were compared, which are not all"]
    stored_table = TableDataLoss(table="a", rows_before=3, rows_after=1, removed_keys=("1", "2"), changed_keys=())
    assert format_data_loss(DataLossReport(tables=(stored_table,), more_keys={"a": 4})) == [
        "a: 3 rows before the restore, 1 after; gone: 1, 2; changed back: none; 4 more keys"
    ]


def test_the_report_names_a_bounded_number_of_columns_of_one_side() -> None:
    narrower_table = table("a", 1, 1, 0, removed_columns=("nick",), returned_columns=("email",))
    assert format_data_loss(EMPTY.add_compared_table(narrower_table))[0] == (
        "a: 1 rows before the restore, 1 after; gone with all values: column nick; back: column email; "
        "gone: 0; changed back: 0"
    )
    assert EMPTY.add_compared_table(table("a", 1, 1, 0, returned_columns=("email",))).tables == (), (
        "a column that came back is not lost"
    )
    wide_comparison = EMPTY.add_compared_table(
        table("a", 1, 1, 0, removed_columns=tuple(f"c{number}" for number in range(900)))
    )
    assert len(wide_comparison.model_dump_json()) < 1000


def test_the_report_names_tables_that_exist_on_one_side() -> None:
    report = (
        EMPTY.add_compared_table(table("empty", 0, 0, 0, is_gone=True))
        .add_returned_table("old")
        .add_returned_table("older")
    )
    assert format_data_loss(report)[:2] == [
        "empty: the whole table is gone, with 0 rows",
        "back, since only the restored branch has them: old, older",
    ]
    for number in range(60):
        report = report.add_returned_table(f"t{number:02}")
    assert (len(report.returned_tables), report.more_returned_tables) == (50, 12)


def test_a_changed_row_without_a_primary_key_counts_as_one_removed_and_one_returned_row() -> None:
    report = EMPTY.add_compared_table(table("audit", 50, 50, 50, returned_rows=50, has_key=False))
    assert format_data_loss(report)[0] == (
        "audit: 50 rows before the restore, 50 after; gone: 50; back: 50 (no primary key: a changed row counts as "
        "one gone and one back)"
    )


def test_the_report_of_a_database_that_lost_all_rows_fits_into_a_document() -> None:
    report, keys = EMPTY, tuple(f"{key:0500}" for key in range(20))
    for number in range(400):
        name = f"public.table_{number:0200}"
        report = report.add_compared_table(table(name, 10_000, 0, 10_000, keys=keys, changed_keys=keys))
        report = report.add_counted_table(table(name, 10_000, 0, 0), "x" * 5_000)
        report = report.add_uncompared_table(name, "x" * 5_000)
    assert len(report.model_dump_json()) < 250_000
    assert (report.more_counted, report.more_not_looked_at) == (350, 350)


def test_an_obligation_stored_without_a_service_belongs_to_the_rollbacks_own_service() -> None:
    stored = rollback(obligations=(Obligation(kind=ObligationKind.FENCE, before={"desired_count": 2}),))
    old_document = stored.model_dump(mode="json", exclude={"database": True, "obligations": {"__all__": {"service"}}})
    document = Rollback.model_validate(old_document)
    assert document.database is None
    assert document.service_of_obligation(document.obligations[0]) == SERVICE
