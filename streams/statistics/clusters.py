"""Which samples share a passage. Answers to questions on one text stand or fall together, so that they count as one cluster."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

# The fields in which data sets keep the text that several of their documents ask about.
PASSAGES: Final = ("passage", "context", "article", "story", "paragraph", "premise", "table")
# Shorter ones are labels or instructions, not passages.
SHORTEST: Final = 40
# The field by which documents that the project makes itself say what they share.
CLUSTER: Final = "assay_cluster"


def cluster_of(document: Mapping[str, Any]) -> str | None:
    """A name of the passage that the document is about; None where it has none. Documents on one passage have one name."""
    if isinstance(own := document.get(CLUSTER), str):
        return own
    for field in PASSAGES:
        text = document.get(field)
        if isinstance(text, str) and len(text) >= SHORTEST:
            return hashlib.sha256(text.encode()).hexdigest()[:16]
    return None
