"""What a restore took out, as it is told."""

from builders import SERVICE, rollback
from faults.database_scenario import BAD, Restore

from rollback.model.database_content import TableContent
from rollback.model.database_errors import AccessRefused, AlreadyExists, ComeBackLater
from rollback.model.database_progress import DatabaseProgress, Ending
from rollback.model.lost_writes import LostWritesReport, report_of
from rollback.model.rollback import Obligation, ObligationKind, Rollback
from rollback.steps.tell_lost_writes import tell_lost_writes


def table(*keys: int, digest: str = "same") -> TableContent:
    return TableContent(rows=len(keys), digests={str(key): digest for key in keys})


def test_the_tables_that_lost_most_come_first_and_what_is_left_out_is_counted() -> None:
    backup = {"a": table(1, 2, 3, 4), "b": table(1, 2), "c": TableContent(rows=9), "d": table(1), "same": table(1)}
    restored = {"a": table(1), "b": table(1, 2, digest="other"), "c": TableContent(rows=2), "same": table(1)}
    report = report_of(backup, restored, most_tables=3, most_keys=2)
    assert [(t.table, t.rows_before, t.rows_after) for t in report.tables] == [("c", 9, 2), ("a", 4, 1), ("d", 1, 0)]
    assert (report.more_tables, report.more_keys) == (1, {"a": 1})
    assert report.in_words() == [
        "c: 9 rows before the restore, 2 after (only counted)",
        "a: 4 rows before the restore, 1 after; gone: 2, 3; changed back: none; 1 more keys",
        "d: the whole table is gone, with 1 rows: 1",
        "1 more tables differ",
    ]


def test_a_column_that_one_side_only_has_is_said_to_be_so() -> None:
    backup, restored = {"a": ("id", "nick", "name")}, {"a": ("id", "email", "name")}
    same = {"a": table(1)}
    assert report_of(same, same, (backup, restored)).in_words() == [
        "a: 1 rows before the restore, 1 after; gone with all values: column nick; back: column email; "
        "gone: none; changed back: none"
    ]
    assert report_of(same, same, ({"a": ("id",)}, restored)).tables == (), "what is back is not lost"
    wide = report_of(same, same, ({"a": tuple(f"c{number}" for number in range(900))}, {"a": ()}))
    assert len(wide.model_dump_json()) < 1000


def test_a_table_that_one_side_only_has_is_said_to_be_so() -> None:
    assert report_of({"empty": table()}, {"old": table(1), "older": table()}).in_words() == [
        "empty: the whole table is gone, with 0 rows",
        "back, since only the restored branch has them: old, older",
    ]
    many = report_of({}, {f"t{number:02}": table() for number in range(60)})
    assert (len(many.returned_tables), many.more_returned_tables) == (50, 10)


def test_a_database_in_which_everything_is_lost_still_fits_into_a_document() -> None:
    rows = TableContent(rows=10_000, digests={f"{key:0500}": "x" for key in range(10_000)})
    report = report_of({f"public.table_{number}": rows for number in range(60)}, {})
    assert len(report.model_dump_json()) < 100_000
    assert report.more_tables == 10


def test_a_restore_that_took_nothing_out_says_so() -> None:
    assert report_of({"a": table(1)}, {"a": table(1)}).in_words() == ["the restore took nothing out"]


def restored() -> Restore:
    restore = Restore()
    restore.until_ended()
    assert restore.progress.ending is Ending.RESTORED
    return restore


def tell(restore: Restore) -> LostWritesReport:
    document = restore.document
    for _ in range(100):
        document = tell_lost_writes(document, restore.restoring, restore.world)
        found: DatabaseProgress | None = document.database
        assert found is not None
        if found.lost is not None:
            return found.lost
        restore.pass_time(seconds=document.wait_seconds)
        restore.neon.settle()
    raise AssertionError("never told")


def test_the_rows_that_only_the_backup_has_are_told() -> None:
    restore = restored()
    (lost,) = tell(restore).tables
    assert lost.removed_keys == tuple(str(row) for row in BAD)


def test_a_backup_that_wakes_up_or_whose_compute_is_there_already_is_read_all_the_same() -> None:
    restore = restored()
    restore.neon.refuse_next("create_endpoint", ComeBackLater("423", 20))
    restore.neon.lose_next("create_endpoint")
    restore.sql.asleep = 2
    assert tell(restore).tables
    assert restore.neon.calls.count("create_endpoint") == 2


def test_what_can_t_be_told_is_said_to_be_so_in_time() -> None:
    refused = restored()
    refused.neon.refuse_next("create_endpoint", AccessRefused("403"))
    assert "could not be told: 403" in tell(refused).in_words()[0]
    asleep = restored()
    asleep.sql.asleep = 1000
    assert "could not be read in time" in tell(asleep).unavailable
    there = restored()
    there.neon.refuse_next("create_endpoint", AlreadyExists("409"))
    assert tell(there).tables


def test_an_obligation_that_was_stored_without_a_service_is_the_rollback_s_own() -> None:
    stored = rollback(obligations=(Obligation(kind=ObligationKind.FENCE, before={"desired_count": 2}),))
    old = stored.model_dump(mode="json", exclude={"database": True, "obligations": {"__all__": {"service"}}})
    read = Rollback.model_validate(old)
    assert read.database is None
    assert read.service_owing(read.obligations[0]) == SERVICE
