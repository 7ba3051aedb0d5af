"""What lm-eval's HFLM answers, and what our engine does, in one shape."""

from collections.abc import Sequence
from typing import Any

from gpu_agent.engines.engine import Engine, EngineAnswer, EngineRequest


def hflm(folder: object, *, max_length: int | None = None, batch_size: int = 1, peft: object = None) -> Any:
    """lm-eval's model; `peft`: the folder of an adapter on it."""
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=batch_size, max_length=max_length,
                peft=str(peft) if peft else None)  # fmt: skip


def theirs(reference: Any, kind: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What lm-eval answers."""
    from lm_eval.api.instance import Instance

    told = [Instance(request_type=kind, doc={}, arguments=one, idx=n, metadata=("t", n, 1)) for n, one in enumerate(arguments)]
    return list(getattr(reference, kind)(told, disable_tqdm=True))


def ours(engine: Engine, requests: Sequence[EngineRequest]) -> list[EngineAnswer]:
    """The engine's answers, in the order of the requests' indices; each exactly once."""
    found = [answer for answer in engine.answer(requests) if isinstance(answer, EngineAnswer)]
    assert sorted(answer.index for answer in found) == sorted(request.index for request in requests)
    return sorted(found, key=lambda answer: answer.index)
