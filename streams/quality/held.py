"""A judge held to people: its own mean, that of people's labels, what both together say, and how far they agree."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from streams.quality.labels import Place, Scale
from streams.statistics.agreement import Alpha, alpha
from streams.statistics.differences import Difference, difference
from streams.statistics.intervals import Mean, mean_of
from streams.statistics.powered import Powered, powered


@dataclass(frozen=True, slots=True)
class Held:
    """A judge's metric on so many answers, of which people labelled some.

    `judge`: its mean over all of them; `people`: that of the labels alone, each answer's over its persons; `corrected`: by both.
    `bias`: the judge's values less people's, on the same answers. `agreement`: Krippendorff's alpha of judge and people by the order of
    their values, `among`: that of people alone. `unmatched`: answers that people labelled, and the judge did not score.
    """

    judge: Mean
    people: Mean
    corrected: Powered
    bias: Difference
    agreement: Alpha
    among: Alpha
    persons: int
    unmatched: int


Labelled = Mapping[Place, Mapping[str, float]]  # answer → person → value


def held(judged: Mapping[Place, float], labelled: Labelled, clusters: Mapping[Place, Hashable], scale: Scale) -> Held | None:
    """The judge's values of answers, and people's; `clusters`: answers that depend on one another. None where they share no answer."""
    places = sorted(judged)
    people = {place: fmean(labelled[place].values()) for place in places if place in labelled}
    if not people:
        return None
    own, names = [judged[place] for place in places], [clusters[place] for place in places]
    theirs, mine = list(people.values()), [judged[place] for place in people]
    some = [clusters[place] for place in people]
    both = {place: [judged[place], value] for place, value in people.items()}
    among = {place: list(labelled[place].values()) for place in people}
    number = {place: at for at, place in enumerate(places)}
    low, high = scale.within
    return Held(
        mean_of(own, names, within=scale.within), mean_of(theirs, some, within=scale.within),
        powered(own, {number[place]: value for place, value in people.items()}, names, within=scale.within),
        difference(mine, theirs, some, width=high - low), _alpha(both, clusters), _alpha(among, clusters),
        len({person for one in labelled.values() for person in one}), len(labelled.keys() - judged.keys()),
    )  # fmt: skip


def _alpha(ratings: Mapping[Place, Sequence[float]], clusters: Mapping[Place, Hashable]) -> Alpha:
    """By order; as numbers where there are too many values for ranks."""
    found = alpha(ratings, level="ordinal", clusters=clusters)
    return alpha(ratings, level="interval", clusters=clusters) if found.value is None and "numbers" in str(found.why) else found
