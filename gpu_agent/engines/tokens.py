"""A model's own tokenizer as lm-eval's HFLM uses it: which special tokens a text gets, and which token begins one without a beginning."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from streams.errors import Invalid


class Tokens:
    """A tokenizer of transformers' for a model that has embeddings for `rows` tokens."""

    def __init__(self, tokenizer: Any, *, rows: int, named: object) -> None:
        """`named`: where it lies, for messages. Raises: Invalid for one without special tokens."""
        if tokenizer.bos_token_id is None and tokenizer.eos_token_id is None:
            raise Invalid(f"the tokenizer of {named} has neither a bos_token nor an eos_token; name one", code="model-no-special-tokens")
        self._tokenizer = tokenizer
        self._rows = rows

    @property
    def prefix_token(self) -> int:
        """The token that begins a text which has no other beginning."""
        bos = self._tokenizer.bos_token_id
        return int(bos if bos is not None else self._tokenizer.eos_token_id)

    @property
    def eos(self) -> str:
        """The text that ends all texts; empty where the tokenizer has none."""
        return self._tokenizer.decode([self._tokenizer.eos_token_id]) if self._tokenizer.eos_token_id is not None else ""

    @property
    def size(self) -> int:
        """How many tokens the model and its tokenizer both have."""
        return min(len(self._tokenizer), self._rows)

    def encode_all(self, texts: Sequence[str], special: bool | None = None) -> list[list[int]]:
        """Tokens of what is scored: the tokenizer's own special tokens, unless the text begins with the first of them already."""
        return self._encoded(texts, special, begun=self._tokenizer.decode([self.prefix_token]))

    def prompts(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of texts to go on from."""
        return self._encoded(texts, None, begun=self._tokenizer.bos_token)

    def _encoded(self, texts: Sequence[str], special: bool | None, *, begun: str | None) -> list[list[int]]:
        found: list[list[int]] = []
        for bare, several in groupby(texts, key=lambda text: special is None and bool(begun) and text.startswith(begun or "")):
            told = {"add_special_tokens": False} if bare else {} if special is None else {"add_special_tokens": special}
            found += self._tokenizer(list(several), **told)["input_ids"]
        for tokens in found:
            if tokens and max(tokens) >= self._rows:
                # A device would end the process over it, or give another row's values.
                raise Invalid(
                    f"the tokenizer makes token {max(tokens)} of this text, and the model has embeddings for {self._rows}; it is another "
                    "model's tokenizer, or one with tokens added to it", code="model-tokenizer",
                )  # fmt: skip
        return found
