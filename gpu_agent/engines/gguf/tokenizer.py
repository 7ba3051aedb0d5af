"""A GGUF model's own tokenizer, by the names that the engines' other parts call tokenizers by."""

from collections.abc import Sequence
from typing import Any

# A token's text at most.
LONGEST_BYTES = 512


class Tokenizer:
    """The vocabulary of a model of llama.cpp's. Special tokens that stand in a text are read as such, as transformers reads them."""

    def __init__(self, vocabulary: Any) -> None:
        self._vocabulary = vocabulary
        self.bos_token_id = _id(vocabulary.token_bos())
        self.eos_token_id = _id(vocabulary.token_eos())

    @property
    def prefix_token(self) -> int | None:
        """The token that begins a text which has no other beginning, as lm-eval has it."""
        return self.bos_token_id if self.bos_token_id is not None else self.eos_token_id

    @property
    def eos(self) -> str:
        """The text that ends all texts; empty where the tokenizer has none."""
        return self.decode([self.eos_token_id]) if self.eos_token_id is not None else ""

    def is_end(self, token: int) -> bool:
        """Whether the model ends its text, or its turn, by that token."""
        return token == self.eos_token_id or bool(self._vocabulary.is_eog(token))

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """The text's tokens; with those that the file says to add, where they are wanted."""
        return list(self._vocabulary.tokenize(text, add_special_tokens, True))

    def encode_all(self, texts: Sequence[str], special: bool | None = None) -> list[list[int]]:
        """Each text's tokens. Special ones are added unless that is told off or, where nothing is told, the text begins with the first."""
        begun = self.decode([self.prefix_token]) if self.prefix_token is not None else ""
        return [
            self.encode(text, add_special_tokens=not (begun and text.startswith(begun)) if special is None else special) for text in texts
        ]

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The tokens' text; what is no UTF-8 is shown by the mark for it."""
        if not tokens:
            return ""
        room = LONGEST_BYTES * len(tokens)
        return str(self._vocabulary.detokenize(list(tokens), text_len_max=room, unparse_special=not skip_special_tokens))


def _id(token: int) -> int | None:
    """A token's id; llama.cpp says -1 for one that there is not."""
    return token if token >= 0 else None
