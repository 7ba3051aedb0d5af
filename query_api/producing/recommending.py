"""Recommendations, decisions and outcomes on their way to Kafka: what follows from the same inputs is said once."""

from infra.kafka import Log
from query_api.reading.runs import Reading
from schemas.decisions import RecommendationMade


async def publish(log: Log, reading: Reading, made: RecommendationMade) -> None:
    """Says a recommendation, where it was not said before: its id names all that it rests on."""
    if not await reading.rows("recommendation", recommendation_id=made.recommendation_id):
        await log.publish(made)
