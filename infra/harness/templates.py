"""Jinja templates of others, as tasks and chats have them: in the sandbox, each read and filled within a time."""

from typing import Any, Final

from jinja2 import Template, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment

from infra.harness.limits import rendering

MOST_S: Final = 10.0  # templates fill in milliseconds; one that loops would keep its builder from everybody else


class Bounded(Template):
    """A template whose filling ends with Overdue when its time is over."""

    def render(self, /, *arguments: Any, **named: Any) -> str:
        """As Jinja's; a field may be named self."""
        with rendering(MOST_S):
            return super().render(dict(*arguments, **named))


class Sandboxed(SandboxedEnvironment):
    """Where tasks' templates run."""

    template_class = Bounded

    def compile(self, *arguments: Any, **named: Any) -> Any:
        """As Jinja's, which reckons what is constant in a template as it compiles it.

        Raises: TemplateSyntaxError, also where it is nested deeper than can be read.
        """
        try:
            with rendering(MOST_S):
                return super().compile(*arguments, **named)
        except (RecursionError, SyntaxError) as error:  # Python's own limits
            raise TemplateSyntaxError("it is nested too deep", lineno=1) from error


class ImmutableSandboxed(Sandboxed, ImmutableSandboxedEnvironment):
    """Where chat templates run, which change nothing that they are given."""
