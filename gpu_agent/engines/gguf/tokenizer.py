"""A GGUF model's own tokenizer, by the names that the engines' other parts call tokenizers by.

Tokens become texts here, byte by byte: llama.cpp's own way of it drops a leading space, and spaces before punctuation, for some models.
Source: GPT-2, src/encoder.py (bytes_to_unicode); llama.cpp, src/llama-vocab.cpp (kinds of vocabularies, attributes of tokens).
"""

from collections.abc import Sequence
from enum import IntFlag
from functools import cache
from typing import Any, Final

SENTENCE_PIECE, BYTE_PAIRS = 1, 2
SPACE: Final = "\u2581"  # as SentencePiece writes it
# A token's text at most, where llama.cpp makes it.
LONGEST_BYTES: Final = 512


class Attribute(IntFlag):
    """What a token is."""

    CONTROL = 8
    USER_DEFINED = 16
    BYTE = 32


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
        """The tokens' text; what is no UTF-8 is shown by the mark for it. A SentencePiece text loses the space that begins it."""
        kind = int(self._vocabulary.vocab_type)
        if kind not in (SENTENCE_PIECE, BYTE_PAIRS):
            return self._by_llama_cpp(tokens, skip_special_tokens=skip_special_tokens)
        parts = (self._bytes(token, kind) for token in tokens if not (skip_special_tokens and self._is(token, Attribute.CONTROL)))
        text = b"".join(parts).decode("utf-8", "replace")
        return text.removeprefix(" ") if kind == SENTENCE_PIECE else text

    def _by_llama_cpp(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str:
        if not tokens:
            return ""
        room = LONGEST_BYTES * len(tokens)
        return str(self._vocabulary.detokenize(list(tokens), text_len_max=room, unparse_special=not skip_special_tokens))

    def _bytes(self, token: int, kind: int) -> bytes:
        text = str(self._vocabulary.get_text(token))
        if self._is(token, Attribute.CONTROL | Attribute.USER_DEFINED):
            return text.encode()
        if kind == SENTENCE_PIECE:
            return bytes([int(text[3:5], 16)]) if self._is(token, Attribute.BYTE) else text.replace(SPACE, " ").encode()
        return b"".join(bytes([letters()[letter]]) if letter in letters() else letter.encode() for letter in text)

    def _is(self, token: int, attributes: Attribute) -> bool:
        return bool(int(self._vocabulary.get_attr(token)) & attributes)


@cache
def letters() -> dict[str, int]:
    """Which byte each letter of a byte-level vocabulary stands for: printable ones for themselves, others for letters from 256 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


def _id(token: int) -> int | None:
    """A token's id; llama.cpp says -1 for one that there is not."""
    return token if token >= 0 else None
