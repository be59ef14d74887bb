"""Promises of the store of reports, kept on the fake and on S3's emulation."""

import urllib.request
from collections.abc import Iterator

import boto3
import pytest
from contract.real_ports import real_ports
from fakes.aws.report_store import FakeReportStore

from local_cloud.deployment.server import LocalCloud
from rollback.adapters.aws.reporting.s3 import S3ReportStore
from rollback.errors import InvalidRequest
from rollback.ports.reporting import ReportStore

BUCKET = "reports-of-the-contract"
KEY = "production/express-api/one/report.html"


@pytest.fixture(params=["fake", "s3"])
def store(request: pytest.FixtureRequest) -> Iterator[ReportStore]:
    if request.param == "fake":
        yield FakeReportStore(is_made=True)
        return
    cloud: LocalCloud = request.getfixturevalue("cloud")
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    ports = real_ports(cloud, monkeypatch, report_bucket=BUCKET)
    boto3.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    ) if BUCKET not in {b["Name"] for b in boto3.client("s3").list_buckets()["Buckets"]} else None
    yield ports.report_store


def test_a_stored_text_is_read_as_it_was_given(store: ReportStore) -> None:
    store.put(KEY, "text/html", "<p>é…</p>")
    assert store.read(KEY) == "<p>é…</p>"


def test_a_later_text_replaces_an_earlier_one(store: ReportStore) -> None:
    store.put(KEY, "text/html", "first")
    store.put(KEY, "text/html", "second")
    assert store.read(KEY) == "second"


def test_a_missing_text_is_none(store: ReportStore) -> None:
    assert store.read("production/express-api/none/report.html") is None


def test_a_link_names_the_key_and_ends_within_an_hour(store: ReportStore) -> None:
    link = store.link(KEY)
    assert KEY in link
    assert "X-Amz-Expires=3600" in link


def test_the_link_shows_the_page_in_the_browsers_own_window(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = real_ports(cloud, monkeypatch, report_bucket="linked-reports")
    boto3.client("s3").create_bucket(
        Bucket="linked-reports", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    ports.report_store.put(KEY, "text/html", "<p>page</p>")
    with urllib.request.urlopen(ports.report_store.link(KEY)) as answer:  # noqa: S310 - the emulation, by HTTP
        assert answer.read() == b"<p>page</p>"
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Content-Disposition"] == "inline"


def test_an_environment_without_a_bucket_stores_nothing() -> None:
    store = S3ReportStore(boto3.client("s3", region_name="eu-west-1"), None)
    assert not store.is_available()
    with pytest.raises(InvalidRequest, match="stores no reports"):
        store.put(KEY, "text/html", "x")
