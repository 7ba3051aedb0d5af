"""What the routes and the pages share, for as long as the process serves; and what stands on it for those who may see the same."""

from collections import OrderedDict

from starlette.requests import Request

from infra.clickhouse import ClickHouse
from infra.kafka import Log
from infra.settings import Settings
from query_api.access.callers import caller_of
from query_api.access.keys import Keys
from query_api.live import Live
from query_api.producing.submitting import Submissions
from query_api.reading.comparing import Comparisons
from query_api.reading.costs import Costs
from query_api.reading.deciding import Deciding, Measurements
from query_api.reading.parity import Parities
from query_api.reading.predicting import Predicting
from query_api.reading.predicting_scores import PredictingScores
from query_api.reading.readers import Reader
from query_api.reading.runs import Reading
from streams.trust.visibility import Seen

ORGANISATIONS_HELD = 64


class Stores:
    """The stores, and those who follow the log. It has no answer that is not of a State."""

    def __init__(self, settings: Settings, *, log: Log, clickhouse: ClickHouse) -> None:
        self.settings = settings
        self.clickhouse = clickhouse
        self.log = log
        self.live = Live(log)
        self.keys = Keys(log)
        self._states: OrderedDict[Seen, State] = OrderedDict()

    def seen_by(self, seen: Seen) -> "State":
        """What answers those who may see this. What it has read is kept, and is theirs alone."""
        state = self._states.pop(seen, None) or State(self, seen)
        self._states[seen] = state
        while len(self._states) > ORGANISATIONS_HELD:
            self._states.popitem(last=False)
        return state


class State:
    """Everything that answers, of what may be seen; what is said through it is said as that organisation."""

    def __init__(self, stores: Stores, seen: Seen) -> None:
        organisation = seen.organisation if seen.organisation is not None else stores.settings.organisation
        self.seen = seen
        self.settings = stores.settings.model_copy(update={"organisation": organisation})
        self.clickhouse = stores.clickhouse
        self.reading = Reading(stores.clickhouse, seen)
        self.comparisons = Comparisons(self.reading)
        self.parities = Parities(self.reading)
        self.costs = Costs(self.reading)
        measurements = Measurements(self.reading)
        self.deciding = Deciding(self.reading, measurements, organisation=organisation)
        self.predicting = Predicting(self.reading, measurements, organisation=organisation)
        self.predicting_scores = PredictingScores(self.reading, measurements, organisation=organisation)
        self.reader = Reader(self.settings)
        self.log = stores.log
        self.live = stores.live
        self.submissions = Submissions(stores.log)


def state_of(request: Request) -> State:
    """What answers who asks."""
    stores: Stores = request.app.state.own
    return stores.seen_by(caller_of(request).seen)
