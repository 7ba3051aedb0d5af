"""Whether what a model brings may run here: Python of its own, and pickles, which run as they are read."""

from infra.settings import Settings
from schemas.requests import ModelRef

# What lets it run, for messages.
HOW = "model.trust_code (--trust-model-code) in the request, and ASSAY_ALLOW_CODE=true where it runs"


def trusted(model: ModelRef, settings: Settings) -> bool:
    """Whether both who asks and whose machine it is let it run."""
    return model.trust_code and settings.allow_code
