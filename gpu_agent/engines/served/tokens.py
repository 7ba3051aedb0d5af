"""The served model's tokenizer, from a folder here: the same tokens as the transformers engine makes."""

from collections.abc import Sequence
from typing import Any

from gpu_agent.engines.failures import words_of
from infra.hub.cache import Cache
from infra.places import is_there
from infra.settings import Settings
from streams.errors import Invalid


class Tokens:
    """A tokenizer, and the token that begins a text."""

    def __init__(self, folder: str) -> None:
        """Raises: Invalid where the folder holds none, or one without special tokens."""
        import transformers

        if not is_there(folder):
            raise Invalid(f"option tokenizer={folder}: there is no such folder here", code="no-tokenizer")
        if Cache(Settings()).named_at(folder) is not None:
            raise Invalid(
                f"option tokenizer={folder} lies among what was fetched from a hub; give a folder of your own", code="no-tokenizer"
            )
        try:
            self._own: Any = transformers.AutoTokenizer.from_pretrained(folder)
        except (OSError, ValueError, KeyError) as error:
            raise Invalid(f"option tokenizer={folder} cannot be read: {words_of(error)}", code="no-tokenizer") from error
        begin = self._own.bos_token_id if self._own.bos_token_id is not None else self._own.eos_token_id
        if begin is None:
            raise Invalid(f"the tokenizer in {folder} has neither a bos_token nor an eos_token; name one", code="no-tokenizer")
        self.prefix_token = int(begin)
        self._begun = self._own.decode([self.prefix_token])

    def encode_all(self, texts: Sequence[str], special: bool | None) -> list[list[int]]:
        """The texts' tokens; `special`: whether with special ones, None for the tokenizer's own way, unless a text has them already."""
        return [self._encoded(text, special) for text in texts]

    def _encoded(self, text: str, special: bool | None) -> list[int]:
        begun = special is None and bool(self._begun) and text.startswith(self._begun)
        told = {"add_special_tokens": False} if begun else {} if special is None else {"add_special_tokens": special}
        found: list[int] = self._own(text, **told)["input_ids"]
        return found
