"""Whether a name that somebody asks for stands for what a candidate has: its whole name, a word of it, or the area that a region lies in.

What is one of a list (a licence, a kind, a place, an engine) has just its name: cc-by is not cc-by-nc-4.0. Models and hardware have many
words, of which one is enough: L40S for NVIDIA L40S. Clouds name one area differently: eu-west-1, europe-west4 and westeurope lie in Europe.
`eu` is the European Union: London, Zurich and Norway are in `europe`, and not in it.

Source: the clouds' own lists: AWS Regions and Availability Zones; Google Cloud, Locations; Azure regions list.
"""

import re
from collections.abc import Mapping
from re import Pattern
from types import MappingProxyType
from typing import Final

WHOLE: Final = frozenset({"licence", "kind", "place", "engine", "languages", "net_at_run_time"})
_EU: Final = (
    r"eu|europe|eu-.*|europe-.*|eusc-.*|(?:west|north)europe|"
    r"(?:austria|belgium|denmark|finland|france|germany|greece|italy|poland|spain|sweden)(?:north|south|east|west|central|westcentral)"
)
_BESIDE_EU: Final = r"eu-west-2|eu-central-2|europe-west2|europe-west6|(?:uk|norway|switzerland)(?:north|south|east|west)"
AREAS: Final[Mapping[str, Pattern[str]]] = MappingProxyType({
    "eu": re.compile(rf"(?!(?:{_BESIDE_EU})(?:-|$))(?:{_EU})", re.IGNORECASE),
    "europe": re.compile(rf"{_EU}|{_BESIDE_EU}", re.IGNORECASE),
    "us": re.compile(r"usa?|us-.*|(?:north|south|west)?(?:east|west|central)us\d?", re.IGNORECASE),
})  # fmt: skip


def stands_for(wanted: str, own: str, subject: str) -> bool:
    """The wanted name stands for its own, of a trait of that name."""
    if subject in WHOLE:
        return _plain(own) == _plain(wanted)
    return lies_in(own, wanted) if subject == "region" else is_named(own, wanted)


def is_named(own: str, wanted: str) -> bool:
    """The wanted name is its own, or a part of it between spaces, slashes and hyphens: L40S of NVIDIA L40S, org and model of org/model."""
    return re.search(rf"(?:^|[\s/@-]){re.escape(wanted)}(?:$|[\s/@-])", own, re.IGNORECASE) is not None


def lies_in(region: str, wanted: str) -> bool:
    """The region lies in that area, or, where the name is none of an area, has it as a word."""
    area = AREAS.get(wanted.casefold())
    return area.fullmatch(region) is not None if area else is_named(region, wanted)


def _plain(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.strip()).casefold()
