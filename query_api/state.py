"""What the routes and the pages share, for as long as the process serves."""

from infra.clickhouse import ClickHouse
from infra.kafka import Log
from infra.settings import Settings
from query_api.access.keys import Keys
from query_api.live import Live
from query_api.producing.submitting import Submissions
from query_api.reading.comparing import Comparisons
from query_api.reading.costs import Costs
from query_api.reading.deciding import Deciding, Measurements
from query_api.reading.parity import Parities
from query_api.reading.predicting import Predicting
from query_api.reading.predicting_scores import PredictingScores
from query_api.reading.runs import Reading


class State:
    """The stores, and what stands on them."""

    def __init__(self, settings: Settings, *, log: Log, clickhouse: ClickHouse) -> None:
        self.settings = settings
        self.clickhouse = clickhouse
        self.reading = Reading(clickhouse)
        self.comparisons = Comparisons(self.reading)
        self.parities = Parities(self.reading)
        self.costs = Costs(self.reading)
        measurements = Measurements(self.reading)
        self.deciding = Deciding(self.reading, measurements, organisation=settings.organisation)
        self.predicting = Predicting(self.reading, measurements, organisation=settings.organisation)
        self.predicting_scores = PredictingScores(self.reading, measurements, organisation=settings.organisation)
        self.log = log
        self.live = Live(log)
        self.keys = Keys(log)
        self.submissions = Submissions(log)
