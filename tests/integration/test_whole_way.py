"""From a request on Kafka to a ranking in ClickHouse, through every process, with the echo engine."""

import asyncio

import pytest

from infra.identity import now_us, producer
from infra.kafka import Log
from infra.settings import Settings
from schemas.measurements import SampleAnswered
from schemas.requests import CancellationRequested, EngineChoice, TaskChoice
from streams.topics import REQUESTS
from tests.flow import request, until_row, until_state
from tests.runs import run_named

pytestmark = pytest.mark.integration


def test_a_request_on_kafka_ends_in_a_ranking(flow: Settings) -> None:
    """Two models on two tasks: planned, answered by both agents, scored, ranked, all to be asked of ClickHouse."""

    async def act() -> None:
        asked = [request("assay_arithmetic", "assay_agreement", limit=40, model=model) for model in ("echo-a", "echo-b")]
        async with Log(flow, client_id="test") as log:
            await log.publish_all(asked)
        for one in asked:
            state = await until_state(flow, one.run_id, "completed", "failed", "rejected")
            assert (state["state"], state["expected"], state["model"]) == ("completed", 80, one.model.uri)
        board = "assay_agreement+assay_arithmetic"
        sql = "SELECT * FROM ranking_rows WHERE board = {board:String} ORDER BY position"
        # Those of other tests' models may stand on it too.
        both = {one.run_id for one in asked}
        rows = await until_row(flow, sql, holds=lambda rows: {row["run_id"] for row in rows} >= both, board=board)
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
        assert {row["model"] for row in rows if row["run_id"] in both} == {"echo-a", "echo-b"}
        assert all(row["low"] <= row["score"] <= row["high"] for row in rows)
        sql = "SELECT task, expected, answered, scored FROM run_progress WHERE run_id = {r:String} ORDER BY task"
        whole = [("assay_agreement", 40, 40, 40), ("assay_arithmetic", 40, 40, 40)]
        await until_row(flow, sql, holds=lambda rows: [tuple(row.values()) for row in rows] == whole, r=asked[0].run_id)
        sql = "SELECT task, value FROM run_figures WHERE run_id = {r:String} AND complete"
        figures = await until_row(flow, sql, holds=lambda rows: len(rows) == 2, r=asked[0].run_id)
        sql = "SELECT task, avg(value) AS v, count() AS n FROM sample_scores WHERE run_id = {r:String} GROUP BY task"
        scores = await until_row(flow, sql, holds=lambda rows: {row["n"] for row in rows} == {40}, r=asked[0].run_id)
        assert {row["task"]: row["value"] for row in figures} == pytest.approx({row["task"]: row["v"] for row in scores})

    asyncio.run(act())


@pytest.mark.parametrize(
    ("told", "code", "message"),
    [
        ({"tasks": ("assay_arithmetics",)}, "unknown-task", "did you mean assay_arithmetic"),
        ({"tasks": ()}, "nothing-to-do", "name at least one task"),
        ({"tasks": ("assay_copy",), "engine": EngineChoice(name="warp")}, "unknown-engine", "there are classifier, echo, encoder"),
        ({"tasks": ("assay_copy",), "engine": EngineChoice(), "model": "/nowhere"}, "model-not-found", "no such folder"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_rejected_with_its_reason(flow: Settings, told: dict[str, object], code: str, message: str) -> None:
    """The run says why; nothing waits for ever."""

    async def act() -> None:
        given = dict(told)
        asked = request(*given.pop("tasks"), **given)  # type: ignore[misc, arg-type]
        async with Log(flow, client_id="test") as log:
            await log.publish(asked)
        state = await until_state(flow, asked.run_id, "rejected", "completed", "failed")
        assert (state["state"], state["reason_code"]) == ("rejected", code)
        assert message in state["message"]

    asyncio.run(act())


def test_what_is_not_avro_becomes_a_dead_letter_and_stops_nobody(flow: Settings) -> None:
    """Rubbish, an unknown schema id, a torn record: each is kept whole, with its reason; the next request runs."""

    async def act() -> None:
        asked = request("assay_copy", limit=4)
        async with Log(flow, client_id="test") as log:
            whole = log.codec.encode(asked)
            wrong = {"not-avro": b"{}", "unknown-schema": b"\x00\x00\x00\x27\x0fxx", "corrupt-avro": whole[:-30]}
            places = {code: await log.publish_raw(REQUESTS.name, payload, key=asked.run_id.encode()) for code, payload in wrong.items()}
            await log.publish(asked)
        await until_state(flow, asked.run_id, "completed")
        sql = "SELECT reason_code, partition, offset FROM dead_letters WHERE topic = {topic:String}"
        wanted = {(code, place.partition, place.offset) for code, place in places.items()}
        await until_row(flow, sql, holds=lambda rows: wanted <= {tuple(row.values()) for row in rows}, topic=REQUESTS.name)

    asyncio.run(act())


def test_a_run_id_is_an_idempotency_key(flow: Settings) -> None:
    """The same request twice is one run; another under its id is a dead letter."""

    async def act() -> None:
        asked = request("assay_copy", limit=4)
        async with Log(flow, client_id="test") as log:
            await log.publish_all([asked, asked, asked.model_copy(update={"priority": 7})])
        state = await until_state(flow, asked.run_id, "completed")
        assert state["expected"] == 4
        sql = "SELECT reason_code FROM dead_letters WHERE message LIKE {like:String}"
        rows = await until_row(flow, sql, holds=bool, like=f"%{asked.run_id}%")
        assert [row["reason_code"] for row in rows] == ["run-id-used"]

    asyncio.run(act())


def test_a_cancelled_run_keeps_what_it_has(flow: Settings) -> None:
    """It is cancelled, with some answers, and says so."""

    async def act() -> None:
        asked = request("assay_arithmetic", limit=200, engine=EngineChoice(name="echo", options={"delay_ms": "1000"}))
        async with Log(flow, client_id="test") as log:
            await log.publish(asked)
            sql = "SELECT answered FROM run_progress WHERE run_id = {r:String}"
            await until_row(flow, sql, holds=lambda rows: bool(rows) and rows[0]["answered"] > 0, r=asked.run_id)
            await log.publish(CancellationRequested(occurred_us=now_us(), producer=producer("test"), run_id=asked.run_id, by="me"))
        state = await until_state(flow, asked.run_id, "cancelled", "completed")
        assert state["state"] == "cancelled"

    asyncio.run(act())


def test_answers_of_a_build_that_is_not_there_are_said_to_be_not_scorable_and_hold_up_nobody(flow: Settings) -> None:
    """A thousand of them, and the next run is scored as ever."""

    async def act() -> None:
        run_id = run_named("no such run")
        stray = [
            SampleAnswered(
                occurred_us=now_us(), producer=producer("test"), run_id=run_id, job_id=f"{run_id}/t", attempt=1, task="t",
                build_id=f"none-{n % 3}", ordinal=n, repeat=0, seed=1, arguments_sha="", answers=(),
            )
            for n in range(1000)
        ]  # fmt: skip
        asked = request("assay_copy", limit=4)
        async with Log(flow, client_id="test") as log:
            await log.publish_all(stray)
            await log.publish(asked)
        await until_state(flow, asked.run_id, "completed")
        sql = "SELECT count() AS n, any(reason) AS reason FROM not_scored WHERE run_id = {r:String}"
        rows = await until_row(flow, sql, holds=lambda rows: rows[0]["n"] == 1000, r=run_id)
        assert "no build none-" in rows[0]["reason"]

    asyncio.run(act())


def test_metrics_beside_a_tasks_own_have_figures(flow: Settings) -> None:
    """Asked for by the request, expected by the plan, computed of each sample, aggregated; what does not fit is refused."""
    asked = [request(tasks=(TaskChoice(name=name, limit=20, metrics=metrics),)) for name, metrics in (
        ("assay_copy", ("f1", "rouge", "chrf", "distinct")), ("assay_agreement", ("calibration", "bits_per_byte")),
        ("assay_agreement", ("rouge",)),
    )]  # fmt: skip

    async def act() -> None:
        async with Log(flow, client_id="test") as log:
            await log.publish_all(asked)
        for one, state in zip(asked, ("completed", "completed", "rejected"), strict=True):
            assert (await until_state(flow, one.run_id, "completed", "failed", "rejected"))["state"] == state
        sql = "SELECT metric, value, stderr, low, high, n FROM run_figures WHERE run_id = {r:String} AND complete"
        for one, wanted in (
            (asked[0], {"f1", "rouge1", "rouge2", "rougeL", "rougeLsum", "chrf", "distinct_1", "distinct_2"}),
            (asked[1], {"ece", "brier", "bits_per_byte", "acc"}),
        ):
            rows = await until_row(flow, sql, holds=bool, r=one.run_id)
            found = {row["metric"]: row for row in rows}
            assert wanted <= found.keys()
            for name in wanted:
                assert found[name]["n"] == 20
                value, error, low, high = (found[name][column] for column in ("value", "stderr", "low", "high"))
                assert low <= value + 1e-9 and value <= high + 1e-9 if error else low is high is None  # none where no draw differs

    asyncio.run(act())
