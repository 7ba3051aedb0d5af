"""`assay`: the command line. Each command with --json prints one document and nothing else; errors are one line on stderr."""

import typer

from query_api.cli import doctor, looking, record, stack, submitting
from streams.errors import AssayError

# Every command, in the order of --help.
COMMANDS = {
    "The stack": (stack.up, stack.down, stack.status, doctor.doctor),
    "Evaluate": (submitting.submit, submitting.perf, looking.cancel),
    "Look": (looking.runs, looking.run, looking.samples, looking.rank, looking.tasks),
    "The log": (record.topics, record.tail, record.replay),
}


def assembled() -> typer.Typer:
    """The application with all of its commands."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", add_completion=True, pretty_exceptions_enable=False,
                      help="Evaluate open-weight language models: quality, speed, energy and cost, kept as events and proved.")  # fmt: skip
    for panel, commands in COMMANDS.items():
        for command in commands:
            app.command(rich_help_panel=panel)(command)
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
