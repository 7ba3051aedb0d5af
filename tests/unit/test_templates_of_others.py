"""Templates that requests bring are filled in the sandbox, within a time."""

import functools
import resource

import pytest
from jinja2.exceptions import SecurityError, TemplateSyntaxError

from infra.harness import templates
from infra.harness.limits import Overdue, bounded, within
from infra.pools import apart
from streams.errors import Invalid

CONSTANT = "{{ (9 ** (9 ** 9)) > 1 }}"
LOOPS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}x"


@pytest.fixture(autouse=True)
def shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shorter time."""
    monkeypatch.setattr(templates, "MOST_S", 1.0)


@pytest.mark.parametrize("environment", [templates.Sandboxed, templates.ImmutableSandboxed])
def test_a_template_that_loops_is_ended_and_the_next_is_filled(environment: type[templates.Sandboxed]) -> None:
    """Its reason is said."""
    with pytest.raises(Overdue, match=r"filling a template took longer than 1 s"):
        environment().from_string(LOOPS).render()
    assert environment().from_string("{{ x }}!").render(x=1) == "1!"
    with pytest.raises(SecurityError):
        environment().from_string("{{ ''.__class__.__mro__ }}").render()


@pytest.mark.parametrize("environment", [templates.Sandboxed, templates.ImmutableSandboxed])
def test_what_is_constant_in_a_template_is_reckoned_within_the_time_too(
    environment: type[templates.Sandboxed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jinja does that when it compiles it; one that is nested without end is no template."""
    with pytest.raises(Overdue, match=r"filling a template took longer than 1 s"):
        environment().from_string(CONSTANT)
    monkeypatch.setattr(templates, "MOST_S", 10.0)  # what is nested too deep is told at once, and a busy machine takes its time
    for nested in ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "{% for i in [1] %}" * 30 + "{% endfor %}" * 30):
        with pytest.raises(TemplateSyntaxError, match="nested too deep"):
            environment().from_string(nested)


def fill() -> str:
    """More than there is."""
    return str(templates.Sandboxed().from_string("{{ 'a' * n }}").render(n=10**12))


def test_a_template_that_wants_too_much_memory_is_refused_it_wherever_it_is_filled() -> None:
    """By a dry run too, which had the machine's; it is another process that may have so much and no more."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(Invalid, match=r"building 't' takes more memory than a builder may have.*ASSAY_PROCESS_MEMORY_MB"):
        apart(functools.partial(bounded, fill, "t", 60.0))
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


@pytest.mark.usefixtures("patient")
def test_the_time_of_what_is_around_goes_on() -> None:
    """Whichever is over first."""
    with pytest.raises(Overdue) as caught, within(0.3):
        while True:
            templates.Sandboxed().from_string("{{ 1 }}").render()
    assert not str(caught.value)
    with pytest.raises(Overdue) as caught, within(0.05):
        templates.Sandboxed().from_string(LOOPS).render()
    assert not str(caught.value)
