"""A group of commands whose usual one needs no name: `assay judge RUN` is `assay judge ask RUN`."""

import difflib
from typing import Any, ClassVar

from typer.core import TyperGroup


class Usual(TyperGroup):
    """Where the first word names no command, it is the usual one's."""

    usual: ClassVar[str] = "ask"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the group's own, with the usual command's name put in front. A slip of the finger in a command's name is told as such."""
        if args and not difflib.get_close_matches(args[0], self.commands) and args[0] not in ctx.help_option_names:
            args = [self.usual, *args]
        return super().parse_args(ctx, args)
