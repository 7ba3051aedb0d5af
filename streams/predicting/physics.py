"""What a machine could do at best with a model: the roofline of its memory and its arithmetic. Where predictions begin.

A step of decoding reads all weights once, and the keys and values of every text under way; it takes 2 operations for each parameter and
text. Whichever takes longer is the step. Reading a prompt takes 2 operations for each parameter and token, and reads the weights once.
Source: S. Williams, A. Waterman, D. Patterson 2009, Roofline; R. Pope et al. 2022, Efficiently Scaling Transformer Inference, section 2;
J. Kaplan et al. 2020, Scaling Laws for Neural Language Models, section 2.1 (2 operations a parameter and token).
"""

from collections.abc import Mapping

from streams.predicting.subjects import Subject

RUNTIME_BYTES = 2**30  # what an engine takes with a model of no size


def reached(subject: Subject) -> Mapping[str, float]:
    """Every figure of FIGURES, at best.

    - ttft: a prompt is read once the step under way is over, half of one on average
    - tokens/s: a place's request takes every place's prompt, one after the other, and a step for each of its tokens
    - J/token: the power limit, over tokens/s
    """
    model, machine, load = subject.model, subject.machine, subject.load
    held = load.in_flight * (load.input_tokens + load.output_tokens / 2) * model.kv_bytes_per_token
    step = max((model.weights_bytes + held) / machine.bytes_per_s, 2 * model.parameters * load.in_flight / machine.flop_per_s)
    prompt = max(model.weights_bytes / machine.bytes_per_s, 2 * model.parameters * load.input_tokens / machine.flop_per_s)
    tokens_per_s = load.in_flight * load.output_tokens / (load.in_flight * prompt + load.output_tokens * step)
    kept = load.in_flight * (load.input_tokens + load.output_tokens) * model.kv_bytes_per_token
    return {
        "ttft_p50_s": prompt + (step / 2 if load.in_flight > 1 else 0.0),
        "itl_p50_s": step,
        "tokens_per_s": tokens_per_s,
        "memory_bytes": RUNTIME_BYTES + model.weights_bytes + kept,
        "j_per_token": machine.watts / tokens_per_s,
    }
