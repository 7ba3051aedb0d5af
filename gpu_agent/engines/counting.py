"""How many tokens a text has by a model's own tokenizer, where its files are here."""

from collections.abc import Callable
from pathlib import Path


def tokens_of(uri: str) -> Callable[[str], int] | None:
    """Counts a text's tokens, special ones not among them; None where the model is no folder with a tokenizer.json."""
    path = Path(uri) / "tokenizer.json"
    if not path.is_file():
        return None
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
