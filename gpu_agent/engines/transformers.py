"""Models of the Hugging Face format through transformers and torch, on any device; the same values as lm-eval's HFLM.

What is shared is computed once: choices of one context run as one batch over that context's keys and values.

Options: `max_length` (tokens; less than the model's own), `threads` (of torch, on a CPU).
"""

import inspect as signatures
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch
import transformers

from gpu_agent.engines.engine import EngineAnswer, EngineRequest, Loaded
from gpu_agent.engines.prompts import Scored, cut, encode_pair, generation, rolling
from infra.models import ModelFacts, inspect
from schemas.jobs import EngineUsed
from schemas.requests import ModelRef
from streams.errors import Invalid, Temporary

OPTIONS = frozenset({"max_length", "threads"})
# Beyond the weights themselves, in which loading and running must fit.
HEADROOM_BYTES = 256 * 2**20
LOOK_BACK = 2


@dataclass(frozen=True, slots=True)
class _Likelihood:
    """Log-likelihood of a continuation in nats, whether each token is the likeliest, each token's own, and tokens cut off."""

    total: float
    greedy: bool
    tokens: bytes
    prompt_tokens: int
    truncated: int


class Transformers:
    """One model in this process."""

    def __init__(self) -> None:
        self._model: Any = None
        self._tokenizer: Any = None
        self._device = torch.device("cpu")
        self._max_len = 0
        self._keeps_last = False

    def load(self, model: ModelRef, *, options: Mapping[str, str], device: str) -> Loaded:
        """Loads model and tokenizer and runs one token. Raises: Invalid, Temporary where memory ran out."""
        if unknown := set(options) - OPTIONS:
            raise Invalid(f"engine transformers has no option {sorted(unknown)[0]!r}; it has {', '.join(sorted(OPTIONS))}", code="option")
        if "threads" in options:
            torch.set_num_threads(int(options["threads"]))
        facts = inspect(model)
        self._device = _device(device)
        self._check_memory(facts)
        started = time.perf_counter_ns()
        self._load(facts, model)
        loaded = time.perf_counter_ns()
        self._max_len = min(int(options.get("max_length", facts.max_len)), facts.max_len)
        with torch.inference_mode(), _memory_errors():
            self._model(torch.tensor([[self._prefix_token]], device=self._device))
        return Loaded(
            used=EngineUsed(
                name="transformers", version=transformers.__version__, dtype=str(self._model.dtype).removeprefix("torch."),
                quantisation=model.quantisation, max_len=self._max_len, device=str(self._device),
            ),
            download_ns=0, load_ns=loaded - started, warmup_ns=time.perf_counter_ns() - loaded,
            weights_bytes=sum(p.numel() * p.element_size() for p in self._model.parameters()),
            parameters=sum(p.numel() for p in self._model.parameters()), kv_bytes=facts.kv_bytes_per_token * self._max_len,
            peak_bytes=torch.cuda.max_memory_allocated() if self._device.type == "cuda" else psutil.Process().memory_info().rss,
        )  # fmt: skip

    def _check_memory(self, facts: ModelFacts) -> None:
        free = torch.cuda.mem_get_info()[0] if self._device.type == "cuda" else psutil.virtual_memory().available
        needed = facts.weights_bytes + HEADROOM_BYTES
        if needed > free:
            raise Invalid(
                f"the model needs {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free on this {self._device.type}; "
                "take a smaller model or dtype, or an agent with more memory",
                code="model-too-large",
            )

    def _load(self, facts: ModelFacts, model: ModelRef) -> None:
        try:
            with _memory_errors():
                self._tokenizer = transformers.AutoTokenizer.from_pretrained(facts.folder, trust_remote_code=model.trust_code)
                self._model = transformers.AutoModelForCausalLM.from_pretrained(
                    facts.folder, dtype=getattr(torch, model.dtype) if model.dtype else "auto", trust_remote_code=model.trust_code
                )
                self._model.to(self._device).eval()
        except (ValueError, OSError, KeyError, ImportError) as error:
            first = (str(error).strip().splitlines() or [""])[0]
            raise Invalid(f"{facts.folder} cannot be loaded: {type(error).__name__}: {first}", code="model-broken") from error
        for name, parameter in self._model.named_parameters():
            if not torch.isfinite(parameter).all():
                raise Invalid(f"{name} of {facts.folder} holds NaN or infinite weights; fetch or train it again", code="model-nan-weights")
        self._keeps_last = "logits_to_keep" in signatures.signature(self._model.forward).parameters

    @property
    def _prefix_token(self) -> int:
        bos = self._tokenizer.bos_token_id
        return int(bos if bos is not None else self._tokenizer.eos_token_id)

    def _encode(self, text: str, add_special_tokens: bool | None = None) -> list[int]:
        """Tokens as HFLM has them: the tokenizer's own special tokens, unless the text begins with the first of them already."""
        if add_special_tokens is None and text.startswith(self._tokenizer.decode([self._prefix_token])):
            add_special_tokens = False
        told = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        return list(self._tokenizer.encode(text, **told))

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
        """Answers, those that share a context together. Raises: Temporary where memory ran out."""
        kinds: dict[str, list[EngineRequest]] = {}
        for request in requests:
            kinds.setdefault(request.request_type, []).append(request)
        with torch.inference_mode(), _memory_errors():
            yield from self._answer_pairs(kinds.get("loglikelihood", []))
            yield from map(self._answer_rolling, kinds.get("loglikelihood_rolling", []))
            yield from map(self._generate, kinds.get("generate_until", []))

    def _answer_pairs(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer]:
        groups: dict[tuple[int, ...], list[tuple[EngineRequest, Scored]]] = {}
        for request in requests:
            scored = encode_pair(request.context, request.continuation or "", encode=self._encode, prefix_token=self._prefix_token)
            groups.setdefault(scored.context, []).append((request, scored))
        for group in groups.values():
            found = self._likelihoods([scored for _, scored in group])
            for (request, _), likelihood in zip(group, found, strict=True):
                yield EngineAnswer(
                    request.index, request.draw, "none", likelihood.prompt_tokens, loglikelihood=likelihood.total,
                    is_greedy=likelihood.greedy, token_logprobs=likelihood.tokens, truncated_tokens=likelihood.truncated,
                )  # fmt: skip

    def _answer_rolling(self, request: EngineRequest) -> EngineAnswer:
        windows = list(rolling(self._encode(request.context), prefix_token=self._prefix_token, max_len=self._max_len))
        found = [self._likelihoods([window])[0] for window in windows]
        return EngineAnswer(
            request.index, request.draw, "none", sum(len(window.continuation) for window in windows),
            loglikelihood=float(sum(likelihood.total for likelihood in found)), is_greedy=all(likelihood.greedy for likelihood in found),
        )  # fmt: skip

    def _likelihoods(self, group: Sequence[Scored]) -> list[_Likelihood]:
        """Likelihoods of continuations of one context."""
        longest = max(len(scored.context) + len(scored.continuation) for scored in group)
        if len(group) > 1 and len(group[0].context) > 1 and longest <= self._max_len + 1:
            return self._shared(group)
        return [self._alone(scored) for scored in group]

    def _alone(self, scored: Scored) -> _Likelihood:
        whole = scored.context + scored.continuation
        tokens = torch.tensor([whole[-(self._max_len + 1) :][:-1]], device=self._device)
        kept = {"logits_to_keep": len(scored.continuation)} if self._keeps_last else {}
        logits = self._model(tokens, **kept).logits[0, -len(scored.continuation) :]
        return _likelihood(logits, scored, truncated=max(0, len(whole) - self._max_len - 1))

    def _shared(self, group: Sequence[Scored]) -> list[_Likelihood]:
        """One pass over the context but its last token, then one batch of all continuations on its keys and values."""
        context = group[0].context
        kept = {"logits_to_keep": 1} if self._keeps_last else {}
        cache = self._model(torch.tensor([context[:-1]], device=self._device), use_cache=True, **kept).past_key_values
        cache.batch_repeat_interleave(len(group))
        rows = [(context[-1], *scored.continuation[:-1]) for scored in group]
        width = max(map(len, rows))
        batch = torch.tensor([row + (0,) * (width - len(row)) for row in rows], device=self._device)
        # Padding stands behind everything that is scored, so that no mask is needed.
        logits = self._model(batch, past_key_values=cache, use_cache=True).logits
        return [_likelihood(logits[n, : len(scored.continuation)], scored, truncated=0) for n, scored in enumerate(group)]

    def _generate(self, request: EngineRequest) -> EngineAnswer:
        told = generation(request.generation, eos=self._tokenizer.decode([self._tokenizer.eos_token_id]))
        room = self._max_len - told.max_tokens
        if room <= 0:
            raise Invalid(f"{told.max_tokens} tokens are to be generated, and the model's length is {self._max_len}", code="too-long")
        tokens = self._encode_prompt(request.context)
        prompt = tokens[-room:]
        torch.manual_seed(request.seed + request.draw)
        stops = transformers.StoppingCriteriaList([_Stops(self._tokenizer, told.until, len(prompt))])
        pad = self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else self._tokenizer.eos_token_id
        limit = int(told.rest.get("max_length", len(prompt) + told.max_tokens))
        rest = {name: value for name, value in told.rest.items() if name != "max_length"}
        given = torch.tensor([prompt], device=self._device)
        whole = self._model.generate(
            input_ids=given, attention_mask=torch.ones_like(given), max_length=limit, stopping_criteria=stops, pad_token_id=pad, **rest
        )
        new = whole[0, len(prompt) :].tolist()
        output = cut(self._tokenizer.decode(new, skip_special_tokens=True), told.until)
        finish = "length" if len(prompt) + len(new) >= limit else "stop"
        return EngineAnswer(
            request.index,
            request.draw,
            finish,
            len(prompt),
            output=output,
            output_tokens=len(new),
            truncated_tokens=len(tokens) - len(prompt),
        )

    def _encode_prompt(self, text: str) -> list[int]:
        bos = self._tokenizer.bos_token
        told = {"add_special_tokens": False} if bos and text.startswith(bos) else {}
        return list(self._tokenizer(text, **told)["input_ids"])

    def stream(self, *, input_tokens: int, output_tokens: int, seed: int) -> Iterator[int]:
        """Greedy tokens after a random prompt, one a step; yields how many came. The end-of-text token does not end it."""
        draw = np.random.default_rng(seed)
        fits = max(1, self._max_len - output_tokens)
        prompt = draw.integers(0, len(self._tokenizer), min(input_tokens, fits))
        with torch.inference_mode(), _memory_errors():
            token, cache = torch.tensor(prompt[np.newaxis], device=self._device), None
            for _ in range(output_tokens):
                out = self._model(token, past_key_values=cache, use_cache=True, **({"logits_to_keep": 1} if self._keeps_last else {}))
                token, cache = out.logits[:, -1:].argmax(-1), out.past_key_values
                token.tolist()  # waits for the device: a token has arrived when a reader could have it
                yield 1

    def close(self) -> None:
        """Gives the model's memory back."""
        self._model = self._tokenizer = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _likelihood(logits: torch.Tensor, scored: Scored, *, truncated: int) -> _Likelihood:
    """`logits`: shape [continuation, vocabulary]."""
    wanted = torch.tensor(scored.continuation, device=logits.device)
    every = torch.log_softmax(logits, dim=-1).gather(1, wanted[:, None])[:, 0]
    greedy = bool((logits.argmax(-1) == wanted).all())
    length = len(scored.context) + len(scored.continuation)
    return _Likelihood(float(every.sum()), greedy, every.float().cpu().numpy().astype("<f4").tobytes(), length - truncated, truncated)


def _device(wanted: str) -> torch.device:
    if wanted != "auto":
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


class _memory_errors:  # noqa: N801  # used as a function is
    """Turns the device's out-of-memory into ours: another attempt, or another agent, may have more."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (isinstance(error, RuntimeError) and "can't allocate" in str(error)):
            raise Temporary(f"out of memory: {str(error).splitlines()[0]}", code="out-of-memory") from error


class _Stops(transformers.StoppingCriteria):  # type: ignore[misc]  # transformers is untyped here
    """Stops where the newest tokens, as text, hold a stop text. Source: lm-eval 0.4.13, models/utils_hf.py, MultiTokenEOSCriteria."""

    def __init__(self, tokenizer: Any, until: Sequence[str], prompt: int) -> None:
        self._tokenizer = tokenizer
        self._prompt = prompt
        self._until = [(text, len(tokenizer.encode(text, add_special_tokens=False)) + LOOK_BACK) for text in until if text]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        new = input_ids[:, self._prompt :]
        done = [any(text in self._tokenizer.decode(row[-span:]) for text, span in self._until) for row in new]
        return torch.tensor(done, device=input_ids.device)
