"""A server's own counts of tokens beside those of its texts, which the model's tokenizer gives where it is here.

Figures rest on what the server tells (`counted_by` usage), and a usage that contradicts the text is said; neither is chosen silently.

- An answer's tokens hold its reasoning, once. Where reasoning is hidden, or a summary of it is told, the text's own tokens and the
  reasoning tokens of the usage are all of it; so both sums may be right. What differs from both by more than SPECIAL tokens, and a
  share of the text (RETOKENISED: a text that is read again may be cut otherwise than it was made), contradicts.
- A prompt's tokens are no fewer than the text's, and no more than a chat's template can add.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.results import Figure
from streams.speed.columns import ABSENT, Numbers
from streams.speed.timings import Requests

SPECIAL: Final = 4  # the end of the text, the marks of a channel, a first token of the prompt
RETOKENISED: Final = 16  # one in so many
TEMPLATE_TOKENS, TEMPLATE_TIMES = 256, 2
NOT_HERE: Final = "no tokenizer of the model is here, or no usage was told"


@dataclass(frozen=True, slots=True)
class Beside:
    """Counts of one kind beside each other, shape [requests that have both]: the server's, the text's, and by how much they contradict."""

    what: str
    told: Numbers
    text: Numbers
    over: Numbers

    def said(self) -> str | None:
        """The worst of it in words; None where nothing contradicts."""
        if not (wrong := int((self.over > 0).sum())):
            return None
        worst = int(self.over.argmax())
        told = f"usage says {self.told[worst]:,} {self.what} tokens, the text has {self.text[worst]:,}"
        return f"{told} (so, or nearly, {wrong:,} of {len(self.over):,})" if wrong > 1 else f"{told} (1 of {len(self.over):,})"


def usage(good: Requests) -> list[Figure]:
    """How many tokens the texts have, and how many requests' usage contradicts them."""
    counted = good[good.are("counted_by", "usage") & (good.column("text_tokens") != ABSENT)]
    if not len(counted):
        return [Figure(metric=name, value=None, n=0, unit=unit, why_undefined=NOT_HERE)
                for name, unit in (("text_tokens", "tokens"), ("usage_contradicted", "1"))]  # fmt: skip
    sides = [_answers(counted), _prompts(counted)]
    wrong = int(np.any([one.over > 0 for one in sides], axis=0).sum())
    said = "; ".join(filter(None, (one.said() for one in sides))) or None
    return [
        Figure(metric="text_tokens", value=int(counted.column("text_tokens").sum()), n=len(counted), unit="tokens"),
        Figure(metric="usage_contradicted", value=wrong, n=len(counted), unit="1", origin=said),
    ]


def _answers(counted: Requests) -> Beside:
    told, text = counted.column("output_tokens"), counted.column("text_tokens")
    thought, shown = (np.maximum(counted.column(name), 0) for name in ("reasoning_tokens", "text_reasoning_tokens"))
    differs = np.minimum(np.abs(told - text), np.abs(told - (text - shown + thought)))
    return Beside("output", told, text, differs - SPECIAL - text // RETOKENISED)


def _prompts(counted: Requests) -> Beside:
    told, text = counted.column("prompt_tokens"), counted.column("text_prompt_tokens")
    over = np.maximum(text - SPECIAL - told, told - TEMPLATE_TIMES * text - TEMPLATE_TOKENS)
    return Beside("prompt", told, text, np.where(text == ABSENT, 0, over))
