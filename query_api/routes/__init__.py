"""The API's operations, one module a concept: shapes, handlers, and the table that declares them."""

from query_api.operations.routing import Operation
from query_api.routes import (
    asking,
    audits,
    boards,
    calculations,
    cluster,
    comparing,
    costs,
    decisions,
    external,
    judgements,
    labels,
    prices,
    recommendations,
    runs,
    samples,
    service,
    streaming,
    suites,
)

OPERATIONS: tuple[Operation, ...] = (
    *asking.OPERATIONS,
    *runs.OPERATIONS,
    *audits.OPERATIONS,
    *samples.OPERATIONS,
    *boards.OPERATIONS,
    *suites.OPERATIONS,
    *comparing.OPERATIONS,
    *judgements.OPERATIONS,
    *labels.OPERATIONS,
    *costs.OPERATIONS,
    *calculations.OPERATIONS,
    *prices.OPERATIONS,
    *recommendations.OPERATIONS,
    *decisions.OPERATIONS,
    *external.OPERATIONS,
    *cluster.OPERATIONS,
    *streaming.OPERATIONS,
    *service.OPERATIONS,
)
