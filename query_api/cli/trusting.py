"""What can be proved of runs, on the command line: seals, a run as one file, checking such a file; and taking a result back."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.options import ME, AsJson, RunId
from streams.errors import Invalid
from streams.external.writing import WRITTEN
from streams.visible import plain

Key = Annotated[str | None, typer.Option(help="the public key that it must be sealed with, or endorsed by: 64 hex digits, or a PEM file")]
SHOWN = 12
RESULTS = ("in-toto", "model-index", "eval-results", "every-eval-ever")
FORMS = f"its results as others read them: {', '.join(RESULTS)}; or its load: {' or '.join(WRITTEN)}"


def seals(as_json: AsJson = False) -> None:
    """Lists the seals of the log, the newest last, and checks each: its signature, and whether it goes on from the one before.

    Examples: `assay seals` · `assay seals --json`
    """
    told = asyncio.run(_seals(Settings()))
    if as_json:
        showing.document({"seals": told})
    elif not told:
        showing.say("no run is sealed yet")
    else:
        rows = [(one["run_id"], one["events"], one["key_id"][:SHOWN], one["chain"][:SHOWN], one["position"], one["void"]) for one in told]
        showing.table(["run", ">events", "key", "chain", ">link", "does not count"], rows)


async def _seals(settings: Settings) -> list[dict[str, Any]]:
    from infra.exporting import found
    from query_api.cli.logs import opened

    async with opened(settings) as log:
        every = (await found(log, settings)).told
    return [{name: getattr(seal, name) for name in ("run_id", "root", "events", "key_id", "chain", "position")} | {"void": why}
            for seal, why in every]  # fmt: skip


def export(
    run_id: RunId,
    file: Annotated[Path, typer.Argument(help="the file to write; a folder for every-eval-ever")],
    private: Annotated[bool, typer.Option("--private", help="of a private run too, and its texts in a file beside it")] = False,
    form: Annotated[str | None, typer.Option(help=FORMS)] = None,
    as_json: AsJson = False,
) -> None:
    """Writes a sealed run to one file, which proves itself: its events with their schemas, its seal, its place in the chain.

    With `--form` it writes its results instead: as a statement of in-toto, a model card's front matter, a file of `.eval_results/`, or a
    record of Every Eval Ever with a row for each sample (docs/trust.md); or the figures of its load, as other load generators write theirs
    (docs/speed.md).

    Examples: `assay export RUN_ID run.zip` · `assay verify run.zip --key …` · `assay export RUN_ID card.md --form model-index` ·
    `assay export RUN_ID records --form every-eval-ever` · `assay export RUN_ID load.json --form aiperf`
    """
    if form in RESULTS:
        _export_results(run_id, file, form, as_json=as_json)
        return
    if form is not None:
        _export_load(run_id, file, form, as_json=as_json)
        return
    told = asyncio.run(_export(Settings(), run_id, file, private=private))
    if as_json:
        showing.document(told)
        return
    showing.say(f"{file}: {told['events']} events, sealed with key {told['key_id']}; `assay verify {file}`")
    if told.get("texts"):
        showing.say(f"{told['texts']}: what people and the model wrote, for those alone who may read it")
    elif told.get("forgotten"):
        showing.say(told["forgotten"])


def _export_results(run_id: str, file: Path, form: str, *, as_json: bool) -> None:
    try:
        files = asyncio.run(_results(Settings(), run_id, file, form))
    except OSError as error:
        raise _not_written(file, error) from error
    if as_json:
        showing.document({"run_id": run_id, "files": list(map(str, files)), "form": form})
        return
    for one in files:
        showing.say(f"{one}: the results of run {run_id}, in the form {form}")


async def _results(settings: Settings, run_id: str, file: Path, form: str) -> list[Path]:
    from infra.measured_results import write
    from query_api.cli.logs import opened

    async with opened(settings) as log:
        return await write(log, settings, run_id, file, form)


def _export_load(run_id: str, file: Path, form: str, *, as_json: bool) -> None:
    told = asyncio.run(_load(Settings(), run_id, form))
    try:
        file.write_text(json.dumps(told, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise _not_written(file, error) from error
    if as_json:
        showing.document({"run_id": run_id, "file": str(file), "form": form})
        return
    showing.say(f"{file}: the load of run {run_id}, as {form} writes its own")


async def _load(settings: Settings, run_id: str, form: str) -> dict[str, Any]:
    from infra.measured_loads import written_load
    from query_api.cli.logs import opened

    async with opened(settings) as log:
        return await written_load(log, run_id, form)


def _not_written(file: Path, error: OSError) -> Invalid:
    return Invalid(f"{file} cannot be written: {error}", code="not-written")


async def _export(settings: Settings, run_id: str, file: Path, *, private: bool) -> dict[str, Any]:
    from infra.exporting import export as exported
    from query_api.cli.logs import opened

    try:
        async with opened(settings) as log:
            return await exported(log, settings, run_id, file, private=private)
    except OSError as error:
        raise _not_written(file, error) from error


def verify(
    file: Annotated[Path, typer.Argument(help="a file of `assay export`", dir_okay=False)],
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Checks a file of `assay export`: that it is what was sealed, and with whose key. It needs nothing but the file.

    Who has no Assay checks it with `pip install assay-verify`, which is the same code.

    Examples: `assay verify run.zip --key 5f0c…` · `assay verify run.zip --key key.pub --json`
    """
    import assay_verify

    try:
        verdict = assay_verify.verify(file, assay_verify.public_key(key) if key else None)
    except ValueError as error:
        raise Invalid(f"--key: {error}", code="key") from error
    if as_json:
        showing.document(asdict(verdict))
    else:
        for line in assay_verify.lines(verdict):
            typer.echo(plain(line))
    if not verdict.valid:
        raise Invalid(f"{file} is not what was sealed", code="not-valid")


def retract(
    run_id: RunId,
    reason: Annotated[str, typer.Option(help="why: it is shown wherever the result is")],
    as_json: AsJson = False,
) -> None:
    """Says that a run no longer counts: it loses its rank, and stays where it was shown, with the reason. There is no way back.

    Example: `assay retract RUN_ID --reason "the prompts had the answers in them"`
    """
    told = Client(Settings()).post(f"/v1/runs/{run_id}/retract", {"by": ME, "reason": reason})
    showing.document(told) if as_json else showing.remark(f"retracted {run_id}")
