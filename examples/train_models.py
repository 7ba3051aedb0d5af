"""Trains three small language models of clearly different size and training, and saves them as ordinary Hugging Face folders.

    python examples/train_models.py --out models --seed 1

The demo evaluates them: a text of sums, sentences and words to copy, learned from nothing in about a minute on two cores.
"""

import argparse
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from infra.harness.bundled import corpus

LENGTH, MAX_LENGTH, BATCH = 64, 2048, 24


@dataclass(frozen=True, slots=True)
class Shape:
    """A model to train: its size, and for how many steps: what it learns depends on the seed, never on how busy the machine is."""

    name: str
    layers: int
    hidden: int
    heads: int
    steps: int
    rate: float


SHAPES = (
    Shape("small", layers=1, hidden=32, heads=2, steps=250, rate=4e-3),
    Shape("medium", layers=2, hidden=64, heads=4, steps=400, rate=3e-3),
    Shape("large", layers=3, hidden=128, heads=4, steps=450, rate=2e-3),
)


def tokenizer() -> Any:
    """A tokenizer of single bytes, with begin, end and padding."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "</s>", "<pad>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    model = Tokenizer(models.BPE({token: number for number, token in enumerate([*special, *alphabet])}, []))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    model.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=model, bos_token=special[0], eos_token=special[1], pad_token=special[2])
    fast.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    return fast


def rows(encode: Callable[[str], list[int]], *, seed: int, begin: int) -> Iterator[list[int]]:
    """Rows of LENGTH + 1 tokens, each beginning with a whole line; every second begins with the begin token."""
    row: list[int] = []
    for number, line in enumerate(corpus.lines(seed=seed, count=10**9)):
        row = row or ([begin] if number % 2 else [])
        row += encode(f"{line}\n")
        if len(row) > LENGTH:
            yield row[: LENGTH + 1]
            row = []


def train(shape: Shape, folder: Path, *, seed: int, told: Callable[[int, str], None]) -> dict[str, float]:
    """Trains and saves; returns the last loss in nats a token, and the parameters."""
    import torch
    import transformers
    from transformers import LlamaConfig, LlamaForCausalLM

    fast = tokenizer()
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(fast), hidden_size=shape.hidden, intermediate_size=shape.hidden * 3, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, num_key_value_heads=shape.heads, max_position_embeddings=MAX_LENGTH, tie_word_embeddings=True,
        bos_token_id=fast.bos_token_id, eos_token_id=fast.eos_token_id, pad_token_id=fast.pad_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=shape.rate, betas=(0.9, 0.98), weight_decay=0.01)
    source = rows(lambda text: list(fast.encode(text)), seed=seed, begin=fast.bos_token_id)
    loss = float("nan")
    for step in range(shape.steps):
        for group in optimiser.param_groups:
            group["lr"] = shape.rate * min(1.0, (step + 1) / 50) * max(0.05, 1 - step / shape.steps)
        batch = torch.tensor(list(itertools.islice(source, BATCH)))
        logits = model(batch[:, :-1]).logits
        cost = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad()
        cost.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        loss = cost.item()
        told(step + 1, f"loss {loss:.2f}")
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return {"loss": loss, "parameters": model.num_parameters()}


def train_all(out: Path, *, seed: int) -> None:
    """Trains every shape into its folder under `out`; models that are there from the same recipe stay."""
    with Progress(TextColumn("{task.description:>22}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn()) as progress:
        for shape in SHAPES:
            recipe = json.dumps({**asdict(shape), "seed": seed, "lengths": [LENGTH, MAX_LENGTH], "batch": BATCH})
            note, folder = out / shape.name / "recipe.json", out / shape.name
            task = progress.add_task(f"training {shape.name}", total=shape.steps, note="")
            if note.exists() and json.loads(note.read_text())["recipe"] == recipe:
                progress.update(task, completed=shape.steps, note="is there")
                continue
            found = train(shape, folder, seed=seed, told=lambda step, text, t=task: progress.update(t, completed=step, note=text))  # type: ignore[misc]
            note.write_text(json.dumps({"recipe": recipe, **found}))
            progress.update(task, note=f"{found['parameters']:,} parameters, {shape.steps} steps, loss {found['loss']:.2f}")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the three model folders")
    parser.add_argument("--seed", type=int, default=1, help="of weights and training lines (default 1)")
    given = parser.parse_args()
    train_all(given.out, seed=given.seed)


if __name__ == "__main__":
    main()
