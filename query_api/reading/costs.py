"""What the API and the pages read of costs, in the shapes that clients rely on."""

from collections.abc import Iterable, Mapping
from typing import Any

from infra.clickhouse import Rows
from query_api.reading.paging import LIMIT, Listing, page
from query_api.reading.runs import Reading
from streams.speed.sensors import words

LISTING = Listing("cost_versions", sorts={"published_us": "Int64"}, key={"price_version": "String", "formula_version": "String"})
ENERGY = frozenset({
    "energy_j", "energy_usd", "co2e_g", "per_correct_answer_j", "per_1k_output_tokens_wh", "per_1k_output_tokens_water_l",
    "per_1k_output_tokens_co2e_g", "per_1k_output_tokens_sci_g",
})  # fmt: skip
# A figure's name and the units that it is shown in, by its metric.
SHOWN = {
    "run_usd_nano": ("run_usd", 1e9),
    "per_1m_input_tokens_usd_nano": ("per_1m_input_tokens_usd", 1e9),
    "per_1m_output_tokens_usd_nano": ("per_1m_output_tokens_usd", 1e9),
    "per_1m_tokens_usd_nano": ("per_1m_tokens_usd", 1e9),
    "per_correct_answer_usd_nano": ("per_correct_answer_usd", 1e9),
    "per_correct_answer_uj": ("per_correct_answer_j", 1e6),
    "energy_uj": ("energy_j", 1e6),
    "energy_usd_nano": ("energy_usd", 1e9),
    "co2e_ug": ("co2e_g", 1e6),
    "per_1k_output_tokens_uwh": ("per_1k_output_tokens_wh", 1e6),
    "per_1k_output_tokens_water_nl": ("per_1k_output_tokens_water_l", 1e9),
    "per_1k_output_tokens_co2e_ug": ("per_1k_output_tokens_co2e_g", 1e6),
    "per_1k_output_tokens_embodied_ug": ("per_1k_output_tokens_embodied_co2e_g", 1e6),
    "per_1k_output_tokens_sci_ug": ("per_1k_output_tokens_sci_g", 1e6),
}
OF_ANSWERS = ("price_version", "per_correct_answer_usd", "per_correct_answer_j", "energy_grade")
OF_SPEED = ("price_version", "per_1m_input_tokens_usd", "per_1m_output_tokens_usd", "per_1m_tokens_usd")
OVER = frozenset({"completed", "failed", "cancelled"})


class Costs:
    """Questions to ClickHouse about costs."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def run(
        self, run_id: str, *, sort: str = "-published_us", limit: int = LIMIT, cursor: str = "", version: str = ""
    ) -> dict[str, Any]:
        """A page of what a run cost, by versions of the price book: all, or one. Raises: NotFound, Malformed."""
        versions = dict[tuple[str, str], Rows]()
        for figure in await self._reading.rows("cost_figures", run_id=run_id):
            versions.setdefault((figure["price_version"], figure["formula_version"]), []).append(figure)
        why = None if versions else _why((await self._reading.state(run_id))["state"])
        told = [_version(figures) for (name, _), figures in versions.items() if version in ("", name)]
        found, following = page(told, LISTING, sort, asked={"run_id": run_id, "version": version}, limit=limit, cursor=cursor)
        return {"run_id": run_id, "versions": found, "why": why, "next": following}

    async def of_rows(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """By run, what a ranking's row shows: what its tokens cost, in the run that its speed was measured in, and its correct answers.

        Each is None where it is not known.
        """
        measured = {row["run_id"]: row["speed_run"] or row["run_id"] for row in rows}
        wanted = sorted({*measured, *measured.values()})
        found = {row["run_id"]: row for row in await self._reading.rows("newest_costs", run_ids=wanted)}
        return {
            run_id: {
                "cost": {name: found[other][name] for name in OF_SPEED} if other in found else None,
                "answers": {name: found[run_id][name] for name in OF_ANSWERS} if run_id in found else None,
            }
            for run_id, other in measured.items()
        }


def _version(figures: Rows) -> dict[str, Any]:
    first = figures[0]
    told = {SHOWN[figure["metric"]][0]: figure for figure in figures if figure["metric"] in SHOWN}
    scale = dict(SHOWN.values())
    values = {name: told[name]["value"] / by if name in told and told[name]["value"] is not None else None for name, by in scale.items()}
    return values | {
        "price_version": first["price_version"], "formula_version": first["formula_version"], "published_us": first["published_us"],
        "newest": first["newest"], "energy_grade": words(told["energy_j"]["origin"]) if "energy_j" in told else None,
        "prices": {name: figure["origin"] for name, figure in told.items() if figure["origin"] and name not in ENERGY},
        "why_undefined": {name: figure["why_undefined"] for name, figure in told.items() if figure["why_undefined"]},
    }  # fmt: skip


def _why(state: str) -> str:
    if state not in OVER:
        return f"the run is {state}: it is reckoned when it is over"
    return "no price is published yet; `assay prices import FILE` publishes some"
