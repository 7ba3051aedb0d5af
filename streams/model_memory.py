"""How much memory a model takes beyond its weights: what planning estimates, and what the engines keep to.

An engine works on many requests at once, because a step reads all weights however many tokens go through it. What that takes is bounded
here. lm-eval's HFLM at batch size 1 takes less of it, and reads the weights once for each request instead.
"""

from typing import Final

# On a CPU a pack's activations should stay in its caches. Chosen for that, not tuned on any machine.
TOKENS_AT_ONCE: Final = 1024
# What a token takes on its way through the model, as a multiple of its widest activations.
NUMBERS_PER_WIDTH: Final = 16
# Logits of one pack: places that are scored go through the output head in as many packs as this makes needed.
LOGITS_BYTES: Final = 256 * 2**20
# Texts under way at once: as many as the tokens at once, divided by this.
TOKENS_PER_SLOT: Final = 16
# Their keys and values: small models have room for some, whatever their weights.
LEAST_SLOTS_BYTES: Final = 256 * 2**20


def scored_at_once(vocabulary: int, itemsize: int) -> int:
    """How many places may be scored in one pack; a sequence is not divided, and may have more."""
    return max(1, LOGITS_BYTES // max(1, vocabulary * itemsize))


def activation_bytes(*, widest: int, vocabulary: int, itemsize: int, tokens: int = TOKENS_AT_ONCE) -> int:
    """A pack of so many tokens on its way through the model: their activations, and the logits of those that are scored."""
    logits = min(tokens, scored_at_once(vocabulary, itemsize)) * vocabulary * itemsize
    return tokens * NUMBERS_PER_WIDTH * widest * itemsize + logits


def slots_bytes(weights_bytes: int) -> int:
    """Keys and values of all texts under way, at most: as much as the weights.

    A step reads weights and keys and values once. Where both are equal, twice as many texts would save a quarter of a token's time at most.
    """
    return max(LEAST_SLOTS_BYTES, weights_bytes)


def kv_bytes(*, per_token: int, max_len: int, weights_bytes: int, tokens: int = TOKENS_AT_ONCE) -> int:
    """Keys and values at most: of one text of the model's whole length, or of all that may be under way with so many tokens at once."""
    most = per_token * max_len * (tokens // TOKENS_PER_SLOT)
    return max(per_token * max_len, min(most, slots_bytes(weights_bytes)))
