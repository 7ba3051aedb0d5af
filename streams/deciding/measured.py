"""Candidates out of what was measured: each variant at each place that it ran on, with its figures, its price, and the runs behind them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from schemas.event import derive_id
from schemas.requests import Chat, ModelRef
from schemas.requirements import ModelKind, Requirement
from schemas.runs import ModelCard
from streams.deciding.candidates import Candidate, Estimate, TaskScores, Trait
from streams.deciding.constraints import is_named
from streams.deciding.evidence import ELSEWHERE, Deployed, Evidence, Place, shortened
from streams.deciding.operating import LATENCIES, NS, Point, fitting, operating_point
from streams.deciding.requiring import NO_NET, is_air_gapped
from streams.deciding.scoring import Scored, scores_of
from streams.errors import Invalid
from streams.money.prices import NANO, OtherHour, PriceBook, Undefined, agent_hour, other_hours

J_PER_KWH: Final = 3.6e6
UJ_PER_J: Final = 1e6
TUNED: Final = re.compile(r"(?<![^\W_])(?:instruct|chat|it|sft|dpo|rlhf|finetuned|tuned)(?![^\W_])", re.IGNORECASE)  # a word of a name
MOST_CANDIDATES: Final = 5_000  # their runs are named in one event


@dataclass(frozen=True, slots=True)
class PlacePrices:
    """What a place costs: a replica's hour, its devices to buy, and the grams that a joule emits, the building's share in them.

    None where a price is missing.
    """

    usd_per_hour: float | None
    purchase_usd: float | None
    gco2_per_j: float | None


@dataclass(frozen=True, slots=True)
class Priced:
    """The price book as of a version (None: the newest) and a time."""

    book: PriceBook
    at_us: int
    version: str | None = None

    def of(self, one: Deployed) -> PlacePrices:
        """What the place costs at which it runs."""
        return PlacePrices(self._hour(one), self._purchase(one), self._grams(one))

    def otherwise(self, one: Deployed) -> tuple[OtherHour, ...]:
        """What an hour of it costs where it is paid on spot, or under a reservation; nothing where that has no price."""
        devices, where = one.environment.devices if one.place.devices else (), one.place
        return other_hours(devices, where.cores, book=self.book, at_us=self.at_us, region=where.region, version=self.version)

    def _hour(self, one: Deployed) -> float | None:
        devices = one.environment.devices if one.place.devices else ()
        try:
            hour = agent_hour(devices, one.place.cores, book=self.book, at_us=self.at_us, region=one.place.region, version=self.version)
        except Undefined:
            return None
        return hour.usd_nano / NANO

    def _purchase(self, one: Deployed) -> float | None:
        try:
            return sum(self._amount(f"device:{name}", one.place.region) for name in one.place.devices) or None
        except Undefined:
            return None

    def _grams(self, one: Deployed) -> float | None:
        try:
            grid, pue = (self._amount(item, one.place.region) for item in ("gco2_per_kwh", "pue"))
        except Undefined:
            return None
        return grid * pue / J_PER_KWH

    def _amount(self, item: str, region: str) -> float:
        return self.book.at(item, at_us=self.at_us, region=region, version=self.version).amount_nano / NANO


@dataclass(frozen=True, slots=True)
class Origin:
    """What a candidate is made from: the weights at their place, the dress they were scored in, and the load that it would run under.

    `runs`: those that it rests on, by what they say of it: each task by its name, `speed`, `memory`, that it runs there at all (`place`),
    and that it is asked in that dress (`dress`).
    """

    deployed: Deployed
    chat: Chat
    point: Point | None
    runs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """Everybody that may be chosen, the scores of the tasks that count, and where each candidate comes from."""

    candidates: tuple[Candidate, ...]
    scores: tuple[TaskScores, ...]
    origins: Mapping[str, Origin]

    @property
    def runs(self) -> tuple[str, ...]:
        """All runs that it rests on."""
        return tuple(sorted({run_id for origin in self.origins.values() for run_id in origin.runs.values()}))


@dataclass(frozen=True, slots=True)
class Making:
    """What candidates are made with."""

    requirement: Requirement
    evidence: Evidence
    prices: Mapping[Place, PlacePrices]
    scored: Mapping[str, Scored]


def field_of(requirement: Requirement, evidence: Evidence, priced: Priced) -> Field:
    """Who may be chosen. Raises: Invalid where a task that counts was scored for nobody, and where there are too many."""
    scored, deployed = scores_of(requirement, evidence), evidence.deployed
    if len(deployed) > MOST_CANDIDATES:
        deployed = tuple(one for one in deployed if _allowed(one, requirement))
    prices = {place: priced.of(one) for place, one in {one.place: one for one in deployed}.items()}
    making = Making(requirement, evidence, prices, scored)
    made = [_made(one, chat, making) for one in deployed for chat in evidence.dresses[one.weights]]
    if len(made) > MOST_CANDIDATES:
        raise Invalid(f"{len(made):,} candidates are more than the {MOST_CANDIDATES:,} that one recommendation can weigh; say which "
                      "models, engines or hardware are allowed", code="candidates")  # fmt: skip
    if is_air_gapped(requirement):  # who cannot be is refused by name
        made += [_elsewhere(one) for one in evidence.elsewhere]
    origins = {candidate.key: origin for candidate, origin in made}
    return Field(tuple(candidate for candidate, _ in made), tuple(scores for scores, _ in scored.values()), origins)


def _allowed(one: Deployed, requirement: Requirement) -> bool:
    """It is of an allowed model, on an allowed engine and hardware; of very many only these are weighed, and the others not refused."""
    allowed, names = requirement.allowed, (one.weights.uri, one.weights.engine, one.place.name)
    wanted = (allowed.models, allowed.engines, allowed.hardware)
    return all(not some or any(is_named(name, each) for each in some) for name, some in zip(names, wanted, strict=True))


def _made(one: Deployed, chat: Chat, making: Making) -> tuple[Candidate, Origin]:
    label, wanted, prices = making.evidence.label(one.weights, chat), making.requirement, making.prices[one.place]
    point = operating_point(fitting(one.points, wanted.traffic), wanted.latency)
    tasks = {task: runs[label] for task, (_, runs) in making.scored.items() if label in runs}
    told = {"place": one.newest.run_id, "dress": making.evidence.dressed(one.weights, chat), "speed": point.run_id if point else None}
    figures = dict(_figures(one, point, making))
    told["memory"] = figures["memory_bytes"].measurement if "memory_bytes" in figures else None
    behind = tasks | {name: run_id for name, run_id in told.items() if run_id}
    key = derive_id("Candidate", one.name, chat.model_dump_json())
    service = point.estimate("e2e_mean", by=NS) if point else None
    made = Candidate(
        key, label, one.weights.engine, one.place.name, figures, dict(_traits(one)), prices.usd_per_hour, prices.purchase_usd,
        point.places if point else None, service.value if service else None,
    )  # fmt: skip
    return made, Origin(one, chat, point, behind)


def _elsewhere(one: Deployed) -> tuple[Candidate, Origin]:
    """A model that a server elsewhere answers for: nothing is known of it but what it needs."""
    chat = one.newest.plan.chat
    traits: dict[str, Trait] = {"place": "elsewhere", "net_at_run_time": ELSEWHERE.name}
    key, label = derive_id("Candidate", one.name, chat.model_dump_json()), shortened(one.weights.uri)
    return Candidate(key, label, one.weights.engine, ELSEWHERE.name, {}, traits), Origin(one, chat, None, {"place": one.newest.run_id})


def _figures(one: Deployed, point: Point | None, making: Making) -> Iterator[tuple[str, Estimate]]:
    told = {"goodput_per_s": ("requests_per_s", 1.0), **{name: (metric, NS) for name, metric in LATENCIES.items()}}
    for name, (metric, by) in told.items():
        if point is not None and (found := point.estimate(metric, by=by)):
            yield name, found
    if point is not None and (joules := point.estimate("energy_per_output_token_uj", by=UJ_PER_J)):
        yield "j_per_token", joules
        if (grams := making.prices[one.place].gco2_per_j) is not None:
            yield "gco2_per_1m_tokens", replace(joules, value=joules.value * grams * 1e6, stderr=joules.stderr * grams * 1e6)
    if peaks := [(making.evidence.peaks[run.run_id], run.run_id) for run in one.runs if run.run_id in making.evidence.peaks]:
        yield "memory_bytes", Estimate(float(max(peaks)[0]), measurement=max(peaks)[1])


def kind_of(model: ModelRef, card: ModelCard) -> ModelKind | None:
    """fine-tuned where the card or the request names what it was made from, or its name says so; base where a card names nothing of it.

    None where there is no card: of such a model nothing is known.
    """
    if card.base or model.base or model.adapter or TUNED.search(model.uri.rstrip("/").rpartition("/")[2]):
        return "fine-tuned"
    return "base" if card.licence or card.languages else None


def _traits(one: Deployed) -> Iterator[tuple[str, Trait]]:
    card, used = one.card, one.used
    yield "place", one.place.kind
    yield "net_at_run_time", NO_NET  # an engine of ours read its weights and its data from the machine's own disk
    yield "devices", float(len(one.place.devices))
    if card.licence:
        yield "licence", card.licence
    if card.languages:
        yield "languages", frozenset(card.languages)
    if kind := kind_of(one.model, card):
        yield "kind", kind
    if used.max_len:
        yield "context_tokens", float(used.max_len)
    if one.place.region != "any":
        yield "region", one.place.region
