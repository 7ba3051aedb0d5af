"""Rankings: the boards, and one board's rows."""

from typing import Final, Literal

from pydantic import Field

from query_api.operations.problems import Malformed
from query_api.operations.routing import Call, Operation
from query_api.operations.shapes import Nothing, Shape
from query_api.reading import rankings as reading_rankings
from query_api.reading.capacities import beside_latency
from query_api.reading.paging import Listing, Paged, PagedWhole
from query_api.reading.standing import beside
from query_api.routes.run_speed import Level
from schemas.requests import Chat
from streams.quality.exposure import DataAge

LISTING: Final = Listing("board_list", sorts={"board": "String", "newest_us": "Int64"}, key={"board": "String"})


class BoardRow(Shape):
    """A board. A task's own is called `task:<name>`."""

    board: str
    versions: str
    newest_us: int
    models: int


class BoardsAsked(Paged):
    """Which boards."""

    match: str = Field(default="", description="only those whose name has this in it")
    sort: Literal["board", "-board", "newest_us", "-newest_us"] = Field(default="-newest_us", description="by name, or by when it changed")


class BoardPage(Shape):
    """Boards, in the order asked for."""

    boards: tuple[BoardRow, ...]
    next: str | None = Field(description="the next page's cursor; null at the end")


class RankingAsked(PagedWhole):
    """Which board, and which of its rows. A row keeps its rank."""

    board: str | None = Field(
        default=None, description="a board by name, a task's own by the task's; without one, the suite's that changed last"
    )
    task: str | None = Field(default=None, description="a task's own board")
    model: str = Field(default="", description="only of this model: its whole address, or the last part of it")
    engine: str = Field(default="", description="only those measured with this engine")
    hardware: str = Field(default="", description="only those measured on this hardware")
    max_rank: int | None = Field(default=None, ge=1, lt=2**63, description="only those with this rank or a better one")
    sort: Literal[
        "rank", "-rank", "model", "-model", "score", "-score", "output_tokens_per_s", "-output_tokens_per_s", "ttft_p50_s", "-ttft_p50_s",
        "joules_per_token", "-joules_per_token",
    ] = Field(default="rank", description="by what; a minus: the greatest first; what is not known comes last")  # fmt: skip


class TokenCost(Shape):
    """What a million tokens cost in the run that the row's speed was measured in, under the newest version of the price book."""

    price_version: str
    per_1m_input_tokens_usd: float | None
    per_1m_output_tokens_usd: float | None
    per_1m_tokens_usd: float | None


class AnswerCost(Shape):
    """What a correct answer took in the row's run, over all of its tasks that count right answers; those guessed right are among them."""

    price_version: str
    per_correct_answer_usd: float | None
    per_correct_answer_j: float | None
    energy_grade: str | None = Field(description="how the energy of the run is known; null where it is not")


class UnderLevel(Shape):
    """The highest rate of requests at which a server kept a service level; its interval reaches to the next rate that missed it."""

    rate_per_s: float
    low: float | None
    high: float | None
    method: str | None = Field(description="what made the interval; null without one")
    slo: Level = Field(description="what it was held to: rates under other levels are not comparable")


class AtConcurrency(Shape):
    """What a closed load of so many requests at a time brought of a server, which may be able to do more."""

    tokens_per_s: float
    concurrency: int


class RankingRow(Shape):
    """A model's place, with what its run measured. One without a rank says in `missing` what it lacks: tasks, a figure, or samples."""

    position: int
    rank: int | None
    model: str
    model_sha: str
    engine: str
    hardware: str
    run_id: str
    score: float | None = Field(description="the mean over tasks; of a task's own board the task's main metric, as it is")
    low: float | None
    high: float | None
    rank_low: int | None = Field(description="the best place that it may have: the ranges of a board all hold at once, with 95 %")
    rank_high: int | None = Field(description="the worst")
    method: str | None = Field(default=None, description="what made the interval (docs/rigor.md); null without one")
    samples: int
    output_tokens_per_s: float | None = Field(description="of a server that was proven full: its capacity")
    at_concurrency: AtConcurrency | None = Field(default=None, description="where no capacity was proven, and a closed load was measured")
    ttft_p50_ns: int | None
    ttft_p50_s: float | None
    joules_per_token: float | None
    energy_grade: str | None
    missing: tuple[str, ...]
    sealed: bool = Field(description="a seal says so; `assay verify` proves it")
    audited: bool = Field(description="its run was run again and compared: `audits` times to the end, by who seals runs here")
    audits: int = 0
    equal_ratio: float | None = Field(default=None, description="the share of samples that came out equal, in the audit where it is least")
    other_audits: int = Field(default=0, description="audits that other parties report, by their own keys")
    other_equal_ratio: float | None = None
    retracted: bool = Field(default=False, description="its run no longer counts: it has no rank, and stays")
    speed_run: str | None = Field(description="the run that the speed was measured in")
    under_slo: UnderLevel | None = Field(
        default=None, description="capacity under a service level, where the speed was measured by a sweep under one; ttft is latency alone"
    )
    cost: TokenCost | None
    answers: AnswerCost | None = None
    chat: Chat = Field(description="how prompts were dressed")
    data_age: DataAge = Field(
        default="unknown",
        description="older: data of the board were published before the model, which may have seen them; newer: all after it",
    )
    sequential: bool = Field(default=False, description="a task of it stopped early, and its interval is a confidence sequence's")
    adaptive: str | None = Field(
        default=None, description="what its score is estimated from, where only a part of a task was asked: it has no rank then"
    )
    run_count: int = Field(
        default=1, description="of so many runs of the model on this board, on whichever data, this is the newest that counts"
    )


class LeftOut(Shape):
    """A model of which no run stands on the board, its newest run, and why."""

    model: str
    run_id: str
    reason: Literal["other sample counts", "other data"]


class Ranking(Shape):
    """A board as it stands. Ranges of ranks hold for the whole board at once, with 95 %, from the samples that all have (docs/rigor.md)."""

    board: str | None
    version: str | None = None
    provisional: bool | None = None
    changed_us: int | None = Field(default=None, description="of pages with the same the rows belong together")
    rows: tuple[RankingRow, ...] = ()
    chance_corrected: bool = Field(
        default=False,
        description="scores are means of (value - chance) / (1 - chance) where a task has a chance level: 0 is guessing, below 0 is worse",
    )
    left_out: tuple[LeftOut, ...] = Field(default=(), description="models that the board leaves out: their runs cannot be compared with it")
    places_method: str | None = Field(default=None, description="what made `rank_low` and `rank_high` (docs/rigor.md); null without them")
    no_places: str | None = Field(default=None, description="why its rows have no `rank_low` and `rank_high`, in words")
    next: str | None = Field(default=None, description="the next page's cursor, for the same `board`; null at the end")


async def boards(call: Call[BoardsAsked, Nothing]) -> BoardPage:
    """Lists the boards, those that changed last first."""
    found, next_page = await call.state.reading.page(LISTING, **call.query.model_dump())
    return BoardPage.model_validate({"boards": found, "next": next_page})


async def ranking(call: Call[RankingAsked, Nothing]) -> Ranking:
    """Shows a ranking with its intervals.

    Ranks are the board's, whatever the page, the filters and the order. A page after the first is best asked for with the name of its
    board, for the one that changed last may be another by then.
    """
    asked = call.query
    if asked.board and asked.task:
        raise Malformed(f"board={asked.board!r} and task={asked.task!r}: give one of them", code="board-and-task")
    board = f"task:{asked.task}" if asked.task else asked.board
    chosen = asked.model_dump(exclude={"board", "task"})
    found = await reading_rankings.ranking(call.state.reading, board, **chosen)
    costs = await call.state.costs.of_rows(found["rows"])
    loads = await beside_latency(call.state.reading, found["rows"])
    found |= await beside(call.state.reading, found["board"])
    return Ranking.model_validate(found | {"rows": [row | costs[row["run_id"]] | loads[row["run_id"]] for row in found["rows"]]})


OPERATIONS = (
    Operation("GET", "/v1/boards", boards, tag="rankings"),
    Operation("GET", "/v1/rankings", ranking, tag="rankings", refuses=(404,)),
)
