"""The embedded stack on the command line: up, down, status."""

from typing import Annotated

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.options import AsJson
from streams.errors import Invalid


def _told(name: str, what: str) -> None:
    showing.errors.print(f"{name:>16}  {what}", highlight=False)


def up(
    detach: Annotated[bool, typer.Option(help="return when all of it is up; it goes on in the background")] = False,
    agents: Annotated[int, typer.Option(min=1, help="gpu_agents to start")] = 1,
) -> None:
    """Starts the embedded stack: broker, ClickHouse engine, agents, gpu_agent, query API. Ctrl-C ends it.

    Example: `assay up --detach`
    """
    from infra.embedded import supervisor

    settings = Settings()
    if not detach:
        supervisor.run(settings, agents=agents, told=_told)
        return
    supervisor.up(settings, agents=agents, told=_told)
    showing.errors.print(f"up: {settings.api}")


def down() -> None:
    """Ends the stack, with every process that it started."""
    from infra.embedded import supervisor

    supervisor.down(Settings(), told=_told)


def status(as_json: AsJson = False) -> None:
    """Shows the stack's processes; exits 0 only when every one is up."""
    from infra.embedded import supervisor

    rows = supervisor.status(Settings())
    if as_json:
        showing.document({"processes": [{"name": one.name, "state": one.state, "pid": one.pid, "restarts": one.restarts,
                                         "last_exit": one.last_exit} for one in rows]})  # fmt: skip
    else:
        showing.table(
            ["process", "state", ">pid", ">restarts", ">last exit"], [(r.name, r.state, r.pid, r.restarts, r.last_exit) for r in rows]
        )
    if not rows:
        raise Invalid("nothing was started here; `assay up --detach`", code="not-up")
    if late := [one.name for one in rows if one.state != "up"]:
        raise Invalid(f"not up: {', '.join(late)}", code="not-up")
