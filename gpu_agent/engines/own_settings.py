"""What a model's own generation_config says of how its texts are chosen, and whether an engine does it. No library of models here."""

from collections.abc import Mapping
from typing import Any, Final

from gpu_agent.engines.failures import OfAll
from streams.engines import KINDS

# Settings of a model that alter greedy search, with what leaves it as it is.
PLAIN: Final[Mapping[str, Any]] = {
    "num_beams": 1, "num_beam_groups": 1, "repetition_penalty": 1.0, "encoder_repetition_penalty": 1.0, "no_repeat_ngram_size": 0,
    "min_length": 0, "min_new_tokens": 0, "guidance_scale": 1.0, "penalty_alpha": 0.0, "bad_words_ids": None, "forced_bos_token_id": None,
    "forced_eos_token_id": None, "suppress_tokens": None, "begin_suppress_tokens": None, "sequence_bias": None,
    "exponential_decay_length_penalty": None, "dola_layers": None, "watermarking_config": None, "prompt_lookup_num_tokens": None,
    "stop_strings": None,
}  # fmt: skip
# Settings of a model that alter sampling otherwise than by temperature, top_k and top_p.
PLAIN_SAMPLING: Final[Mapping[str, Any]] = {
    "top_h": None, "min_p": None, "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "renormalize_logits": False,
}  # fmt: skip


def leaves(config: Any, plain: Mapping[str, Any]) -> bool:
    """Whether the model's own settings leave it as it is."""
    return all(getattr(config, name, None) in (None, usual) for name, usual in plain.items())


def check_own(config: Any, *, engine: str, samples: bool) -> None:
    """Raises: OfAll where the model's generation_config sets what that engine does not do, and transformers would."""
    taken = KINDS[engine].arguments or frozenset()
    for name, usual in (dict(PLAIN) | (dict(PLAIN_SAMPLING) if samples else {})).items():
        if name not in taken and getattr(config, name, None) not in (None, usual):
            raise OfAll(
                f"the model's own generation_config.json sets {name} to {getattr(config, name)}, which engine {engine} does not do; give "
                "engine transformers, or take it out there", code="generation",
            )  # fmt: skip
