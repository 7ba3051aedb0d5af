"""Every metric of ours has a range: without one, no interval can hold where rare values are not in the sample."""

import pytest

from infra.harness.metrics.registry import METRICS
from streams.quality.labels import SCALES
from streams.quality.ranges import range_of
from streams.statistics.intervals import ANY


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_metric_of_ours_has_a_range(name: str) -> None:
    """At least one end of it."""
    assert range_of(name) != ANY


@pytest.mark.parametrize(("task", "metric"), [(task, metric) for task, scales in SCALES.items() for metric in scales])
def test_what_people_label_has_the_same_range_everywhere(task: str, metric: str) -> None:
    """On their scale and in every interval."""
    assert range_of(metric) == SCALES[task][metric]
