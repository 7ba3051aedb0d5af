"""The dashboard: server-rendered pages, readable without a script, kept up to date by one that fetches them anew when something happens."""

from starlette.routing import Route

from query_api.pages import (
    acts,
    buying,
    calculating,
    cluster,
    comparison,
    dead_letters,
    grids,
    histories,
    leaderboard,
    overview,
    parity,
    predicting,
    predicting_scores,
    recommending,
    reference,
    run,
    samples,
    saving,
)
from query_api.pages.rendering import TEMPLATES

__all__ = ["FORMS", "ROUTES", "TEMPLATES"]

FORMS: list[Route] = [*buying.FORMS]
ROUTES: list[Route] = [
    *overview.ROUTES,
    *leaderboard.ROUTES,
    *comparison.ROUTES,
    *parity.ROUTES,
    *recommending.ROUTES,
    *buying.ROUTES,
    *saving.ROUTES,
    *predicting.ROUTES,
    *predicting_scores.ROUTES,
    *calculating.ROUTES,
    *samples.ROUTES,
    *run.ROUTES,
    *grids.ROUTES,
    *histories.ROUTES,
    *cluster.ROUTES,
    *dead_letters.ROUTES,
    *acts.ROUTES,
    *reference.ROUTES,
]
