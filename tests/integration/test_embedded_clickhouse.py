"""ClickHouse's HTTP protocol over the engine, held to by ClickHouse's own client and by plain HTTP."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import clickhouse_connect
import lz4.frame
import pytest

from infra.settings import Settings
from tests.flow import get, post

pytestmark = pytest.mark.integration


def client_of(stack: Settings) -> clickhouse_connect.driver.Client:
    """A client as users have it."""
    address = urlsplit(stack.clickhouse)
    return clickhouse_connect.get_client(host=address.hostname, port=address.port)


def test_many_compressed_frames_keep_every_row(stack: Settings) -> None:
    """An insert arrives as several lz4 frames; all 200,000 rows are there."""
    with client_of(stack) as client:
        client.command("CREATE TABLE many (n UInt64, t String) ENGINE = MergeTree ORDER BY n")
        client.insert("many", [[n, f"row {n}"] for n in range(200_000)], column_names=["n", "t"])
        assert client.query("SELECT count(), uniqExact(n), sum(n) FROM many").first_row == (200_000, 200_000, 19_999_900_000)


def test_a_body_that_ends_within_a_frame_is_refused(stack: Settings) -> None:
    """A truncated insert says so and inserts nothing."""
    post(stack.clickhouse, content="CREATE TABLE cut (n UInt64) ENGINE = MergeTree ORDER BY n").raise_for_status()
    body = lz4.frame.compress(b"".join(f"{n}\n".encode() for n in range(10_000)))
    query = {"query": "INSERT INTO cut FORMAT TabSeparated"}
    answer = post(stack.clickhouse, params=query, content=body[:-20], headers={"Content-Encoding": "lz4"})
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "27")
    assert get(stack.clickhouse, params={"query": "SELECT count() FROM cut"}).text == "0\n"


def test_parameters_are_bound(stack: Settings) -> None:
    """A value is a value, whatever is in it."""
    with client_of(stack) as client:
        text = "it's; DROP TABLE x -- \\"
        found = client.query("SELECT {n:UInt32} + 1, {t:String}", parameters={"n": 41, "t": text})
        assert found.first_row == (42, text)


def test_plain_http_answers_in_the_format_asked_for(stack: Settings) -> None:
    """As curl would ask."""
    assert get(stack.clickhouse, params={"query": "SELECT 1 AS a FORMAT JSONEachRow"}).text == '{"a":1}\n'
    assert post(stack.clickhouse, content="SELECT 1, 'x'").text == "1\tx\n"
    assert get(f"{stack.clickhouse}/ping").text == "Ok.\n"


def test_rows_in_a_body_behind_their_statement(stack: Settings) -> None:
    """JSON lines, with the statement as a parameter or in the first line."""
    post(stack.clickhouse, content="CREATE TABLE lines (n UInt64) ENGINE = MergeTree ORDER BY n").raise_for_status()
    post(stack.clickhouse, params={"query": "INSERT INTO lines FORMAT JSONEachRow"}, content='{"n":1}\n{"n":2}\n').raise_for_status()
    post(stack.clickhouse, content='INSERT INTO lines FORMAT JSONEachRow\n{"n":3}\n').raise_for_status()
    post(stack.clickhouse, content="INSERT INTO lines VALUES (4), (5)").raise_for_status()
    assert post(stack.clickhouse, content="SELECT groupArray(n) FROM (SELECT n FROM lines ORDER BY n)").text == "[1,2,3,4,5]\n"


def test_errors_carry_their_code(stack: Settings) -> None:
    """An unknown table is ClickHouse's code 60."""
    answer = post(stack.clickhouse, content="SELECT * FROM nothing_here")
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (404, "60")
    assert "nothing_here" in answer.text


def test_a_get_changes_nothing(stack: Settings) -> None:
    """As on a server, GET is read-only; and settings of one request do not stay for the next."""
    answer = get(stack.clickhouse, params={"query": "CREATE TABLE by_get (n UInt8) ENGINE = Memory"})
    assert answer.headers["X-ClickHouse-Exception-Code"] == "164"
    assert post(stack.clickhouse, params={"max_threads": "61"}, content="SELECT getSetting('max_threads')").text == "61\n"
    assert post(stack.clickhouse, content="SELECT getSetting('max_threads')").text != "61\n"  # as many as there are cores


def test_four_threads_at_once(stack: Settings) -> None:
    """Answers belong to their questions."""
    with ThreadPoolExecutor(4) as threads:
        asked = [f"SELECT sum(number) FROM numbers({n * 1000})" for n in range(40)]
        answers = list(threads.map(lambda sql: int(post(stack.clickhouse, content=sql).text), asked))
    assert answers == [sum(range(n * 1000)) for n in range(40)]
