"""Whatever the API's description allows, asked as each role over planted rows of every event: no server error, no right too many."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from query_api.operations.description import document
from query_api.routes import OPERATIONS
from streams.trust.access import ROLES, covers
from tests.integration.test_seeing import OURS, World, world

__all__ = ["world"]  # the fixture: ClickHouse and the API are real, the log is in memory
pytestmark = [pytest.mark.integration, pytest.mark.slow]
EXAMPLES = 5
NOWHERE = (404, 405)  # a name in an address may lead to another one
NEEDS = {(operation.method, operation.path): operation.needs for operation in OPERATIONS}
schema = schemathesis.openapi.from_dict(document(OPERATIONS)).exclude(path="/v1/live")  # it has no end


@schema.parametrize()
@settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_no_question_of_any_role_breaks_it(case: schemathesis.Case[Any], world: World) -> None:  # the fixture
    """Parameters and bodies of every kind, right and wrong ones; who may not is told so before anything of it is looked at."""
    for role in ROLES:
        key = world.keys[OURS, role]
        answer = case.call(base_url=world.settings.api, headers={"Authorization": f"Bearer {key}", "Connection": "close"}, timeout=60)
        assert answer.status_code < 500, (role, answer.status_code, answer.text)
        needed = NEEDS.get((case.method, case.path))  # methods that no operation has are tried too
        if needed and answer.status_code not in NOWHERE:
            assert (answer.status_code == 403) is not covers(role, needed), (role, answer.status_code, answer.text)
