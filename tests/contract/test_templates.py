"""What lm-eval renders, it renders in a sandbox."""

from typing import Any

import pytest
from jinja2 import TemplateError
from lm_eval import utils

from infra.harness.tasks import _fast_templates


@pytest.mark.parametrize(
    "template", ["{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ x.__init__.__globals__ }}", "{{ range(10**9) }}"]
)
def test_a_template_cannot_leave_its_sandbox(template: str) -> None:
    """Attributes that lead to Python are none; neither are ranges without end."""
    _fast_templates()
    told: Any = utils.apply_template
    assert told("{{ x + 1 }}", {"x": 1}) == "2"
    with pytest.raises((TemplateError, OverflowError)):
        told(template, {"x": 1})
