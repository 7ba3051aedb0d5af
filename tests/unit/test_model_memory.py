"""What a model is said to take beyond its weights: bounded, never less than one text, and of every part."""

from hypothesis import given
from hypothesis import strategies as st

from infra.model_shapes import shape_of
from streams.model_memory import LEAST_SLOTS_BYTES, LOGITS_BYTES, activation_bytes, kv_bytes, scored_at_once, slots_bytes

SIZES = st.integers(1, 2**20)


@given(SIZES, SIZES, st.integers(0, 2**40))
def test_keys_and_values_are_those_of_one_whole_text_or_as_much_as_the_weights(per_token: int, max_len: int, weights: int) -> None:
    """Neither less than one text needs, nor more than all that may be under way."""
    told = kv_bytes(per_token=per_token, max_len=max_len, weights_bytes=weights)
    assert per_token * max_len <= told <= max(per_token * max_len, slots_bytes(weights))
    assert slots_bytes(weights) >= LEAST_SLOTS_BYTES


@given(SIZES, st.sampled_from([2, 4, 8]))
def test_a_packs_logits_are_bounded_and_counted(vocabulary: int, itemsize: int) -> None:
    """At least one place is scored, however many tokens there are to choose from."""
    places = scored_at_once(vocabulary, itemsize)
    assert places == 1 or places * vocabulary * itemsize <= LOGITS_BYTES
    one = activation_bytes(widest=1, vocabulary=vocabulary, itemsize=itemsize)
    assert activation_bytes(widest=4096, vocabulary=vocabulary, itemsize=itemsize) > one >= vocabulary * itemsize


def test_families_call_the_same_numbers_otherwise() -> None:
    """Keys and values of grouped heads count once; a model of several parts has its text's shape."""
    llama = {"hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152}
    assert shape_of(llama).kv_numbers == 2 * 30 * 3 * 64
    assert shape_of({"model_type": "several", "text_config": llama}).kv_numbers == shape_of(llama).kv_numbers
    gpt2 = shape_of({"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128})
    assert (gpt2.kv_numbers, gpt2.max_len, gpt2.widest) == (2 * 2 * 64, 128, 256)
