"""A server's own counts of tokens beside those of its texts, which the model's tokenizer gives where it is here, and what was asked for.

Figures rest on what the server tells (`counted_by` usage), and a usage that contradicts the text is said; neither is chosen silently.

- An answer's tokens hold its reasoning, once. Where reasoning is hidden, or a summary of it is told, the text's own tokens and the
  reasoning tokens of the usage are all of it; so both sums may be right. What differs from both by more than SPECIAL tokens, and a
  share of the text (RETOKENISED: a text that is read again may be cut otherwise than it was made), contradicts.
- A prompt's tokens are no fewer than the text's, and no more than a chat's template can add.
- An answer has no more tokens than were asked for: without any tokenizer, a usage above that cannot be right. Answers that are shorter,
  because the text ended, are none of that: they are counted, for a load of short answers is another load.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.requests import Workload
from schemas.results import Figure
from streams.speed.columns import ABSENT, Numbers
from streams.speed.timings import Requests

SPECIAL: Final = 4  # the end of the text, the marks of a channel, a first token of the prompt
RETOKENISED: Final = 16  # one in so many
TEMPLATE_TOKENS, TEMPLATE_TIMES = 256, 2
UNCOUNTED: Final = "nothing counts the tokens of the answers"
NOT_HERE: Final = "no tokenizer of the model is here, or no usage was told"


@dataclass(frozen=True, slots=True)
class Beside:
    """Counts of one kind beside each other, shape [requests that have both]: the server's, those they are held to, how much these differ.

    `beside`: what they are held to, in words.
    """

    what: str
    told: Numbers
    held: Numbers
    over: Numbers
    beside: str = "the text has {:,}"

    def said(self) -> str | None:
        """The worst of it in words; None where nothing contradicts."""
        if not (wrong := int((self.over > 0).sum())):
            return None
        worst = int(self.over.argmax())
        told = f"usage says {self.told[worst]:,} {self.what} tokens, {self.beside.format(int(self.held[worst]))}"
        return f"{told} (so, or nearly, {wrong:,} of {len(self.over):,})" if wrong > 1 else f"{told} (1 of {len(self.over):,})"


@dataclass(frozen=True, slots=True)
class Asked:
    """How many tokens a load's answers were asked for: at least and at most so many, over all of its requests."""

    least: int
    most: int


def asked_of(workload: Workload) -> Asked:
    """What a load asks for: the lengths of its trace's answers, else its own."""
    lengths = [one.output_tokens for one in workload.trace] or [workload.output_tokens]
    return Asked(min(lengths), max(lengths))


def usage(good: Requests, asked: Asked | None = None) -> list[Figure]:
    """How many tokens the texts have, how many requests' usage cannot be right, and how many answers were shorter than asked for."""
    told = good[good.are("counted_by", "usage")]
    counted = told[told.column("text_tokens") != ABSENT]
    sides = [_answers(counted), _prompts(counted)] if len(counted) else []
    wrong = set(counted.column("request_index")[np.any([one.over > 0 for one in sides], axis=0)].tolist()) if sides else set[int]()
    if asked and len(told):
        beyond = _beyond(told, asked)
        sides, wrong = [*sides, beyond], wrong | set(told.column("request_index")[beyond.over > 0].tolist())
    held, texts = len(told) if asked else len(counted), int(counted.column("text_tokens").sum()) if len(counted) else None
    said = "; ".join(filter(None, (one.said() for one in sides))) or None
    return [
        Figure(metric="text_tokens", value=texts, n=len(counted), unit="tokens", why_undefined=NOT_HERE if texts is None else None),
        Figure(metric="usage_contradicted", value=len(wrong) if held else None, n=held, unit="1", origin=said,
               why_undefined=None if held else NOT_HERE),
        *([_short(good, asked)] if asked else []),
    ]  # fmt: skip


def _short(good: Requests, asked: Asked) -> Figure:
    """How many answers ended before they were as long as the shortest that was asked for."""
    lengths = good[~good.are("counted_by", "none")].column("output_tokens")
    short = int((lengths < asked.least).sum())
    return Figure(
        metric="answers_short", value=short if len(lengths) else None, n=len(lengths), unit="1",
        origin=f"the shortest has {int(lengths.min()):,} of {asked.least:,} tokens" if short else None,
        why_undefined=None if len(lengths) else UNCOUNTED,
    )  # fmt: skip


def _beyond(told: Requests, asked: Asked) -> Beside:
    """A server that was asked for so many tokens has made no more. Reasoning is left out: some bound it by itself."""
    output = told.column("output_tokens")
    shown = output - np.maximum(told.column("reasoning_tokens"), 0)
    return Beside("output", output, np.full(len(told), asked.most), shown - asked.most, beside="at most {:,} were asked for")


def _answers(counted: Requests) -> Beside:
    told, text = counted.column("output_tokens"), counted.column("text_tokens")
    thought, shown = (np.maximum(counted.column(name), 0) for name in ("reasoning_tokens", "text_reasoning_tokens"))
    differs = np.minimum(np.abs(told - text), np.abs(told - (text - shown + thought)))
    return Beside("output", told, text, differs - SPECIAL - text // RETOKENISED)


def _prompts(counted: Requests) -> Beside:
    told, text = counted.column("prompt_tokens"), counted.column("text_prompt_tokens")
    over = np.maximum(text - SPECIAL - told, told - TEMPLATE_TIMES * text - TEMPLATE_TOKENS)
    return Beside("prompt", told, text, np.where(text == ABSENT, 0, over))
