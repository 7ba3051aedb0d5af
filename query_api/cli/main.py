"""`assay`: the command line. Each command with --json prints one document and nothing else; errors are one line on stderr."""

import errno
import io
import os
import sys
from collections.abc import Callable

import typer
from pydantic import ValidationError

from infra.settings import Settings, wrong
from query_api.cli import (
    access,
    auditing,
    calculating,
    comparing,
    costs,
    dead_letters,
    deciding,
    doctor,
    engines,
    external,
    forgetting,
    judging,
    keys,
    labelling,
    looking,
    measuring,
    parity,
    predicting,
    predicting_scores,
    prices,
    pulling,
    recommending,
    record,
    saving,
    stack,
    submitting,
    suites,
    trusting,
)
from query_api.cli.digits import in_digits
from query_api.cli.usual import Usual
from streams.errors import AssayError
from streams.visible import plain

Command = Callable[..., None]
# Every command, in the order of --help.
COMMANDS: dict[str, tuple[Command, ...]] = {
    "The stack": (stack.up, stack.down, stack.status, doctor.doctor),
    "Evaluate": (submitting.submit, measuring.perf, looking.cancel, pulling.pull),
    "Look": (
        looking.runs,
        looking.run,
        looking.samples,
        judging.judgements,
        comparing.compare,
        parity.parity,
        looking.rank,
        costs.cost,
        looking.tasks,
        suites.suites,
    ),
    "Decide": (
        predicting.predict,
        predicting.predictions,
        predicting_scores.predict_scores,
        predicting_scores.score_predictions,
        calculating.tco,
    ),
    "The log": (record.topics, record.tail, record.replay),
    "Trust": (
        trusting.seals,
        trusting.export,
        trusting.verify,
        trusting.retract,
        forgetting.forget,
        auditing.audit,
        auditing.audits,
        auditing.countersign,
    ),
}
# Commands with commands of their own: what the bare name does, and the others by name.
GROUPS: dict[str, tuple[tuple[Command, dict[str, Command]], ...]] = {
    "The stack": ((engines.engine, {"list": engines.listed, "install": engines.install}),),
    "Evaluate": ((judging.judge, {"ask": judging.ask, "labels": labelling.labels, "show": labelling.show}),),
    "Look": (
        (prices.prices, {"import": prices.import_prices}),
        (external.external, {"import": external.import_results, "list": external.listed, "history": external.history}),
    ),
    "Decide": (
        (
            recommending.recommend,
            {
                "ask": recommending.ask,
                "read": recommending.read,
                "list": recommending.listed,
                "show": recommending.show,
                "again": recommending.again,
                "buy": recommending.buy,
                "savings": saving.savings,
            },
        ),
        (deciding.decisions, {"record": deciding.record, "outcome": deciding.outcome, "show": deciding.show}),
    ),
    "The log": ((dead_letters.dead_letters, {"list": dead_letters.listed, "show": dead_letters.show, "requeue": dead_letters.requeue}),),
    "Trust": (
        (
            access.access,
            {"list": access.listed, "create": access.create, "admit": access.admit, "rotate": access.rotate, "revoke": access.revoke},
        ),
        (
            keys.keys,
            {
                "list": keys.listed,
                "create": keys.create,
                "rotate": keys.rotate,
                "endorse": keys.endorse,
                "show": keys.show,
                "texts": forgetting.texts,
                "master": forgetting.master,
                "rewrap": forgetting.rewrap,
            },
        ),
    ),
}


def assembled() -> typer.Typer:
    """The application with all of its commands."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", add_completion=True, pretty_exceptions_enable=False,
                      help="Evaluate open-weight language models: quality, speed, energy and cost, kept as events and proved.")  # fmt: skip
    for panel, commands in COMMANDS.items():
        for command in commands:
            app.command(rich_help_panel=panel)(in_digits(command))
        for bare, named in GROUPS.get(panel, ()):
            group = typer.Typer(rich_markup_mode="markdown", cls=Usual if Usual.usual in named else None)
            group.callback(invoke_without_command=True)(in_digits(bare))
            for name, command in named.items():
                group.command(name)(in_digits(command))
            app.add_typer(group, name=bare.__name__.replace("_", "-"), rich_help_panel=panel)
    return app


def main() -> None:
    """Runs the command; an error is one line on stderr: exit code 1, and 2 where the command was not understood."""
    _in_utf8()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal has no letters for is shown escaped, and ends nothing
            stream.reconfigure(errors="backslashreplace")
    try:
        code = assembled()(prog_name="assay", standalone_mode=False)
    except (AssayError, ValidationError, OSError, typer.TyperException, typer.Abort) as error:
        _refused(error)
    else:
        raise SystemExit(code if isinstance(code, int) else 0)


def _refused(error: Exception) -> None:
    """Ends with the error in a line; what nobody foresaw goes on."""
    match error:
        case AssayError():
            _end(str(error), 1)
        case ValidationError(title=Settings.__name__):
            _end(wrong(error), 1)
        case OSError(errno=errno.ENOSPC):
            _end("what is to be written has no room on its disk", 1)
        case typer.Abort():
            _end("given up", 1)
        case typer.TyperException():
            if not error.format_message():  # the help was shown in its place
                raise SystemExit(error.exit_code) from None
            _end(_understood(error), error.exit_code)
    raise error


def _in_utf8() -> None:
    """Starts again as UTF-8 where the terminal says that it has ASCII alone, and what was typed has other letters."""
    if sys.getfilesystemencoding() == "ascii" and not all(map(str.isascii, sys.argv)):
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _end(message: str, code: int) -> None:
    typer.echo(plain(f"assay: {message}"), err=True)
    raise SystemExit(code)


def _understood(error: typer.TyperException) -> str:
    """A usage error in a line, with the help that explains it."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "assay"
    told = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")  # pydantic's own beginning
    return f"{told}; see `{path} --help`"


if __name__ == "__main__":
    main()
