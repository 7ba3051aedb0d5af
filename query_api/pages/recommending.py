"""Recommendation: a form whose address is its deep link, what is recommended and how surely, and who was refused and why."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from starlette.requests import Request

from query_api.access.callers import caller_of
from query_api.drawing.deciding import figure_told, front, interval_told, percent, share_told
from query_api.pages.rendering import Content, page
from query_api.producing.buying import asked_of
from query_api.reading import decisions
from query_api.reading.deciding import LISTING, Asking, measured_names
from query_api.routes.recommendations import by_model_told, by_rules, model_reading
from query_api.state import State, state_of
from schemas.decisions import Contender, RecommendationMade
from streams.deciding.candidates import FIGURES
from streams.deciding.reading import requirement_of
from streams.deciding.sentences import as_yaml
from streams.errors import Invalid, NotFound, Unavailable
from streams.trust.access import covers

Told = dict[str, Any]
# The form's fields: the part of the requirement and the field in it that each tells, its label, an example.
AMOUNTS: Final = (
    ("ttft_p95", ("latency", "ttft_p95"), "First token within (p95)", "800 ms"),
    ("itl_p95", ("latency", "itl_p95"), "Between tokens (p95)", "60 ms"),
    ("e2e_p95", ("latency", "e2e_p95"), "Whole answer within (p95)", "20 s"),
    ("rate", ("traffic", "rate"), "Requests", "20/s"),
    ("input", ("traffic", "input"), "A request has", "800 tokens"),
    ("output", ("traffic", "output"), "An answer has", "200 tokens"),
    ("headroom", ("traffic", "headroom"), "Spare at the peak", "20 %"),
    ("per_month", ("budget", "per_month"), "A month costs at most", "3000 USD"),
    ("per_1m_tokens", ("budget", "per_1m_tokens"), "A million tokens at most", "0.5 USD"),
    ("capital", ("budget", "capital"), "Capital at most", "100000 USD"),
    ("per_token", ("energy", "per_token"), "A token's energy at most", "2 J"),
    ("carbon", ("energy", "carbon_per_1m_tokens"), "A million tokens emit at most", "300 g"),
    ("context", ("allowed", "context"), "Context of at least", "8 k"),
    ("memory", ("allowed", "memory"), "Memory at most", "48 GB"),
)  # fmt: skip
NAMES: Final = (
    ("models", "Models", "any"), ("hardware", "Hardware", "L40S, H100"), ("engines", "Engines", "any"), ("regions", "Regions", "eu"),
    ("licences", "Licences", "apache-2.0, mit"), ("languages", "Languages", "de"), ("places", "Places", "one-gpu, cpu"),
    ("kinds", "Kinds", "fine-tuned"), ("owned", "Devices that you own", "L40S: 2"),
)  # fmt: skip
MAPS: Final = (
    ("tasks", "Tasks that count, with weights", "gsm8k: 2, mmlu"), ("floors", "At least", "gsm8k: 60 %, quality: 0.65"),
    ("rates", "USD for one of another currency", "EUR: 1.08"),
)  # fmt: skip
ALONE: Final = {"tasks": "1", "points": "1", "owned": "1", "order": "0"}  # what a name without a value says, where it says something
CURVE: Final = ("curve", "Or by the hour", "0-8: 2/s, 8-18: 20/s, 18-24: 5/s")
SHOWN: Final = 100
RECENT: Final = 10


def told_by(query: Mapping[str, str]) -> Told:
    """The requirement that the form's fields tell; what is empty is not asked for. Raises: Invalid, naming the field."""
    told: Told = {}
    for name, (part, field), _, _ in AMOUNTS:
        if value := query.get(name, "").strip():
            told.setdefault(part, {})[field] = value
    for name, _, _ in NAMES:
        if name == "owned":
            continue
        if values := [one.strip() for one in query.get(name, "").split(",") if one.strip()]:
            told.setdefault("allowed", {})[name] = values
    if owned := pairs(query.get("owned", ""), "owned"):
        told.setdefault("allowed", {})["owned"] = owned
    if curve := query.get("curve", "").strip():
        told.setdefault("traffic", {})["curve"] = pairs(curve, "curve") if ":" in curve else [one.strip() for one in curve.split(",")]
    maps = {name: pairs(query.get(name, ""), name) for name in (*(one[0] for one in MAPS), "points", "order")}
    points, steps = maps.pop("points"), maps.pop("order").items()
    order = [name if value == ALONE["order"] else {"figure": name, "tolerance": value} for name, value in steps]
    prefer = ({"points": points} if points else {}) | ({"order": order} if order else {})
    told |= {name: value for name, value in maps.items() if value} | ({"prefer": prefer} if prefer else {})
    threshold = query.get("threshold", "").strip()
    return told | ({"threshold": threshold} if threshold else {})


def form_of(requirement: Mapping[str, Any]) -> dict[str, str]:
    """The form's fields that tell a requirement: the inverse of `told_by`."""
    told = {name: str(requirement.get(part, {}).get(field, "")) for name, (part, field), _, _ in AMOUNTS}
    allowed, prefer, curve = (requirement.get(part, {}) for part in ("allowed", "prefer", "traffic"))
    told |= {name: _joined(allowed.get(name, ())) for name, _, _ in NAMES} | {"curve": _joined(curve.get("curve", ()))}
    steps = [{"figure": one, "tolerance": "0"} if isinstance(one, str) else one for one in prefer.get("order", ())]
    told |= {"points": _joined(prefer.get("points", {})), "order": _joined({one["figure"]: one.get("tolerance", "0") for one in steps})}
    told |= {name: _joined(requirement.get(name, {})) for name, _, _ in MAPS}
    return {name: value for name, value in told.items() if value} | (
        {"threshold": str(requirement["threshold"])} if "threshold" in requirement else {}
    )


def _joined(told: Any) -> str:
    """Names, or pairs, as a field of the form has them; a text is one name."""
    if isinstance(told, Mapping):
        return ", ".join(f"{key}: {value}" for key, value in told.items())
    return told if isinstance(told, str) else ", ".join(map(str, told))


def lacking(requirement: Mapping[str, Any], filled: Mapping[str, str]) -> list[str]:
    """The fields of a requirement that the form, filled in so, does not tell: those that it has no place for."""
    try:
        told = told_by(filled)
    except Invalid:  # a name that no field can hold beside another
        told = {}
    there = dict(_fields(told))
    return [field for field, value in _fields(requirement) if there.get(field) != value]


def _fields(told: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field with its value as text, or its texts."""
    for name, value in told.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", [str(one) for one in value] if isinstance(value, list | tuple) else str(value)


def pairs(text: str, name: str) -> dict[str, str]:
    """The pairs of `gsm8k: 2, mmlu`; a name alone weighs 1. Raises: Invalid for one that is there twice, or needs a value."""
    found: dict[str, str] = {}
    for one in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = one.rpartition(":") if ":" in one else (one, "", ALONE.get(name, ""))
        if not value.strip():
            raise Invalid(f"{name} has {key.strip()} without a value; write {key.strip()}: and what it is", code="requirement")
        if key.strip() in found:
            raise Invalid(f"{name} has {key.strip()} twice; name it once", code="requirement")
        found[key.strip()] = value.strip()
    return found


async def load(request: Request) -> Content:
    """The form, and where it says something, the recommendation; or one that was made before, by its id."""
    asked, state = dict(request.query_params), state_of(request)
    recent, _ = await state.reading.page(LISTING, sort="-made_us", limit=RECENT)
    decided = await decisions.page(state.reading, sort="-decided_us", limit=RECENT)
    shown = {"title": "Recommend", "asked": asked, "amounts": AMOUNTS, "names": NAMES, "maps": MAPS, "curve": CURVE, "figures": FIGURES,
             "recent": recent, "decided": decided, "share_told": share_told, "percent": percent, "reader": state.reader.name}  # fmt: skip
    try:
        if sentence := asked.get("sentence", "").strip():
            return shown | {"made": None} | await _read(state, sentence, asked)
        if "id" in asked:
            kept = await state.deciding.kept(asked["id"])
            return shown | _shown(kept) | await _to_ask(request, kept) | {"stale": await state.deciding.stale_prices(kept)}
        told = told_by(asked)
        made = await state.deciding.reckoned(Asking(requirement_of(told), "the page")) if told else None
    except (Invalid, NotFound) as error:  # the form stays, with the reason
        return shown | {"made": None, "why": str(error)}
    if made is None:
        return shown | {"made": None}
    return shown | _shown(made) | await _to_ask(request, made) | {"yaml": as_yaml(told), "stale": await state.deciding.stale_prices(made)}


async def _read(state: State, sentence: str, asked: Mapping[str, str]) -> Content:
    """What a sentence was understood as, by rules and, where that is wanted, by a model; the form has the reading that is taken.

    Nothing is recommended by it: the form waits to be looked over. Raises: Invalid.
    """
    names = await measured_names(state.reading)
    by_model: dict[str, Any] | None = None
    if asked.get("reader") and state.reader.name:
        try:
            found = await model_reading(state, sentence, names)
        except Unavailable as error:
            return {"asked": {"sentence": sentence}, "why": str(error)}
        rules = by_rules(sentence, names, alone=False)
        by_model = by_model_told(state.reader.name, found, rules.requirement)
    else:
        rules = by_rules(sentence, names, alone=True)
    take = by_model is not None and (asked.get("take") == "model" or not rules.requirement)
    taken = by_model["requirement"] if by_model and take else rules.requirement
    filled = form_of(taken)
    reading = {"sentence": sentence} | ({"reader": "1"} if by_model else {})
    return {
        "asked": reading | filled, "read": rules, "by_model": by_model, "take": "model" if take else "rules",
        "lacking": lacking(taken, filled),
    }  # fmt: skip


async def _to_ask(request: Request, made: RecommendationMade) -> Content:
    """What asking for each of its next runs comes to, and whether who looks may; `here` leads back to this recommendation."""
    may = covers(caller_of(request).role, "submitter")
    return {"buyings": await asked_of(state_of(request), made), "may": may, "here": dict(request.query_params)}


def _shown(made: RecommendationMade) -> Content:
    known = [name for name in FIGURES if any(one.figure == name for choice in made.choices for one in choice.figures)]
    counted = sorted(known, key=lambda name: -made.requirement.preference.points.get(name, 0.0))
    return {
        "made": made, "counted": counted, "front": front(made, counted), "cells": [_cells(choice, counted) for choice in made.choices],
        "rejected": made.rejected[:SHOWN],
    }  # fmt: skip


def _cells(choice: Contender, counted: list[str]) -> list[tuple[str, str] | None]:
    """Each figure with its interval; None where it is not known."""
    own = {one.figure: one.model_dump() for one in choice.figures}
    return [(figure_told(own[name]), interval_told(own[name])) if name in own else None for name in counted]


ROUTES = page("/recommend", "recommend.html", load, live=False)
