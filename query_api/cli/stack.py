"""The embedded stack on the command line: up, down, status."""

from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.options import AsJson
from query_api.drawing.charts import seconds
from streams.errors import Invalid

COUNTED = {"queue_jobs": "jobs wait", "leases": "run", "agents": "agents", "dead_letters": "dead letters"}


def _told(name: str, what: str) -> None:
    showing.remark(f"{name:>16}  {what}")


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
    showing.remark(f"up: {settings.api}")


def down() -> None:
    """Ends the stack, with every process that it started.

    Example: `assay down`
    """
    from infra.embedded import supervisor

    supervisor.down(Settings(), told=_told)


def _shown(told: dict[str, Any]) -> None:
    columns = ("name", "state", "pid", "restarts", "last_exit", "lag", "note")
    showing.table(
        ["process", "state", ">pid", ">restarts", ">last exit", ">lag", "note"],
        [[one[column] if column != "note" else one[column] or "" for column in columns] for one in told["processes"]],
    )
    delay = seconds(told["insert_delay_s"])
    counts = [f"{'–' if told[name] is None else told[name]} {what}" for name, what in COUNTED.items()]
    showing.say(f"{', '.join(counts)}; newest rows queryable after {delay}")


def status(as_json: AsJson = False) -> None:
    """Shows the stack's processes with their lag, the queue, dead letters and the insert delay; exits 0 only when every process is up.

    Examples: `assay status` · `assay status --json`
    """
    from infra.embedded import state
    from query_api.cli.figures import figures

    settings = Settings()
    rows = state.status(settings)
    told = figures(settings, rows)
    showing.document(told) if as_json else _shown(told)
    if not rows:
        raise Invalid("nothing was started here; `assay up --detach`", code="not-up")
    if late := [one.name for one in rows if one.state != "up"]:
        raise Invalid(f"not up: {', '.join(late)}", code="not-up")
