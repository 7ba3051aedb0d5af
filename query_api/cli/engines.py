"""Engines on the command line: which there are, where each is, and the installing of those that have environments of their own."""

from importlib.metadata import version

import typer

from infra import engine_environments
from infra.engine_environments import Place
from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.checks import Check
from query_api.cli.options import AsJson
from streams.engines import KINDS, NAMES, Kind

STATES = {
    "here": "in this environment", "own": "in an environment of its own", "outdated": "of other requirements than now",
    "missing": "not installed",
}  # fmt: skip


def engine(context: typer.Context, as_json: AsJson = False) -> None:
    """Lists the engines: what each runs, and whether it is on this machine; `install` brings one here. docs/engines.md says more.

    Examples: `assay engine` · `assay engine list --json` · `assay engine install gguf`
    """
    if context.invoked_subcommand is None:
        listed(as_json)


def listed(as_json: AsJson = False) -> None:
    """Lists the engines: what each runs, on which devices, and where it is; in JSON also what it reads and answers, and its options.

    Examples: `assay engine list --json`
    """
    found = [(engine_environments.place_of(name, Settings().home), kind) for name, kind in KINDS.items()]
    if as_json:
        showing.document({"engines": [_told(place, kind) for place, kind in found]})
        return
    rows = [(place.engine, kind.what, ", ".join(kind.devices), _where(place)) for place, kind in found]
    showing.table(["engine", "runs", "on", "is"], rows)


def _told(place: Place, kind: Kind) -> dict[str, object]:
    return {
        "name": place.engine, "what": kind.what, "formats": sorted(kind.formats), "answers": sorted(kind.answers),
        "devices": list(kind.devices), "options": {option: one.takes for option, one in sorted(kind.options.items())},
        "measures_speed": kind.tokens, "state": place.state,
        "python": str(place.python) if place.python else None, "requirements_sha256": place.sha,
    }  # fmt: skip


def _where(place: Place) -> str:
    missing = place.state in ("missing", "outdated")
    return f"{STATES[place.state]}: {engine_environments.what_to_do(place.engine)}" if missing else STATES[place.state]


def install(name: str = typer.Argument(help="the engine's name, as `assay engine list` shows it"), as_json: AsJson = False) -> None:
    """Brings an engine here: an environment of its own below the home, from hashed requirements. Agents take it up at their next beat.

    What was fetched is kept where it is ended in the middle, and the same command goes on from there.

    Examples: `assay engine install gguf`
    """
    place = engine_environments.install(name, Settings().home, quiet=as_json)
    if as_json:
        showing.document(_told(place, KINDS[name]))
    else:
        showing.say(f"engine {name} is {STATES[place.state]}")


def checks(settings: Settings) -> list[Check]:
    """What `assay doctor` says of each engine."""
    places = [engine_environments.place_of(name, settings.home) for name in KINDS if name != "echo"]
    return [
        Check(f"engine {place.engine}", place.state in ("here", "own"), _note(place), engine_environments.what_to_do(place.engine))
        for place in places
    ]


def _note(place: Place) -> str:
    kind = KINDS[place.engine]
    versions = [f"{one} {version(one)}" for one in kind.packages] if place.state == "here" else []
    reads = f" (reads {', '.join(NAMES[one] for one in sorted(kind.formats))})" if kind.formats else ""
    return f"{kind.what}{reads}, {' '.join([STATES[place.state], *versions])}"
