"""`assay`: the command line. Each command with --json prints one document and nothing else; errors are one line on stderr."""

import typer

from query_api.cli import costs, doctor, looking, prices, record, stack, submitting
from streams.errors import AssayError

# Every command, in the order of --help.
COMMANDS = {
    "The stack": (stack.up, stack.down, stack.status, doctor.doctor),
    "Evaluate": (submitting.submit, submitting.perf, looking.cancel),
    "Look": (looking.runs, looking.run, looking.samples, looking.rank, costs.cost, looking.tasks),
    "The log": (record.topics, record.tail, record.replay),
}
# Commands with commands of their own: what the bare name does, and the others by name.
GROUPS = {"Look": ((prices.prices, {"import": prices.import_prices}),)}


def assembled() -> typer.Typer:
    """The application with all of its commands."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", add_completion=True, pretty_exceptions_enable=False,
                      help="Evaluate open-weight language models: quality, speed, energy and cost, kept as events and proved.")  # fmt: skip
    for panel, commands in COMMANDS.items():
        for command in commands:
            app.command(rich_help_panel=panel)(command)
        for bare, named in GROUPS.get(panel, ()):
            group = typer.Typer(rich_markup_mode="markdown")
            group.callback(invoke_without_command=True)(bare)
            for name, command in named.items():
                group.command(name)(command)
            app.add_typer(group, name=bare.__name__.replace("_", "-"), rich_help_panel=panel)
    return app


def main() -> None:
    """Runs the command; an error of ours is one line on stderr, and exit code 1."""
    try:
        assembled()()
    except AssayError as error:
        typer.echo(f"assay: {error}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
