"""Options of engines: those that there are not, and values that are none, are refused when the request is made, with what was meant."""

from pathlib import Path

import pytest

from query_api.cli.overriding import engine_said
from query_api.producing.submitting import Submission, requested
from schemas.requests import EngineChoice, Judgement, ModelRef, TaskChoice
from streams import planning
from streams.engine_options import values
from streams.engines import KINDS, read_options
from streams.errors import Invalid
from tests.unit.test_engine_kinds import asked

DOCS = Path(__file__).parents[2] / "docs" / "engines.md"


@pytest.mark.parametrize(
    ("engine", "options", "says"),
    [
        ("transformers", {"max_lenght": "64"}, "engine transformers has no option 'max_lenght'; did you mean max_length?"),
        ("transformers", {"Max-Length": "64"}, "did you mean max_length?"),
        ("transformers", {"gpu_memory_utilization": "0.5"}, "it has batch_tokens, compile, max_length, threads"),
        ("vllm", {"tensor_paralel_size": "2"}, "did you mean tensor_parallel_size?"),
        ("vllm", {"gpu_memory_utilization": "1.5"}, "option gpu_memory_utilization=1.5: give a share, above 0, at most 1"),
        ("vllm", {"gpu_memory_utilization": "0"}, "give a share, above 0"),
        ("vllm", {"gpu_memory_utilization": "nan"}, "give a share, above 0"),
        ("vllm", {"enforce_eager": "True"}, "option enforce_eager=True: give true or false"),
        ("gguf", {"kv": "int4"}, "option kv=int4: give float16 or float32"),
        ("gguf", {"thread": "4"}, "did you mean threads?"),
        ("gguf", {"threads": "2000"}, "option threads=2000: give a whole number from 1 to 1,024"),
        ("encoder", {"layer": "last"}, "option layer=last: give a whole number from 0 to 1,000"),
        ("classifier", {"labels": "toxic"}, "option labels=toxic: give asked=model's, as toxic=LABEL_1"),
        ("classifier", {"batch_tokens": "٣"}, "give a whole number from 1 to 10,000,000"),
        ("openai", {"url": "http://h", "max_length": "7"}, "option max_length=7: give a whole number from 8 to 100,000,000"),
        ("openai", {"url": "http://h", "timeout": "9"}, "did you mean timeout_s?"),
        ("openai", {"url": "http://h", "concurency": "9"}, "did you mean concurrency?"),
        ("echo", {"delay_ms": "inf"}, "option delay_ms=inf: give milliseconds, 0 to 3,600,000"),
        ("echo", {"delay_ms": "nan"}, "option delay_ms=nan: give milliseconds, 0 to 3,600,000"),
        ("echo", {"delay_ms": "1e308"}, "option delay_ms=1e308: give milliseconds, 0 to 3,600,000"),
        ("transformers", {"batch_tokens": "99999999999"}, "option batch_tokens=99999999999: give a whole number from 1 to 10,000,000"),
        ("vllm", {"max_length": "99999999999"}, "option max_length=99999999999: give a whole number from 1 to 100,000,000"),
        ("openai", {"url": "http://h", "timeout_s": "99999999999"}, "give a whole number from 1 to 86,400"),
        ("openai", {"url": "http://h", "concurrency": "2000"}, "give a whole number from 1 to 1,024"),
        ("echo", {"fail": "hard"}, "give load or hang or oom or crash or raise"),
        ("echo", {"x" * 500: "1"}, f"has no option '{'x' * 40}…'; it has answers"),
    ],
)
def test_what_an_engine_does_not_take_is_refused_when_it_is_asked_for(engine: str, options: dict[str, str], says: str) -> None:
    """By the command line's and the API's way, and by the planner, whoever produced the request; of judges too."""
    wrong = EngineChoice(name=engine, options=options)
    with pytest.raises(Invalid) as refused:
        requested(Submission(model=ModelRef(uri="m"), tasks=(TaskChoice(name="t"),), engine=wrong), organisation="o")
    assert says in str(refused.value)
    assert refused.value.code == "option"
    judge = Judgement(task="t", model=ModelRef(uri="m"), engine=wrong)
    for one in (asked("echo", ModelRef(uri="m")).model_copy(update={"engine": wrong}), asked("echo", ModelRef(uri="m"), judge=judge)):
        with pytest.raises(Invalid) as refused:
            planning.check(one)
        assert says in str(refused.value)


def test_values_are_read_as_what_they_are() -> None:
    """Numbers, shares, words and mappings; what is not given is not there."""
    said = engine_said("vllm", ["threads=4", "gpu_memory_utilization=0.5", "enforce_eager=false"])
    assert read_options("vllm", said["options"]) == {"threads": 4, "gpu_memory_utilization": 0.5, "enforce_eager": False}
    assert read_options("classifier", {"labels": "toxic=LABEL_1, mild = LABEL_0"}) == {"labels": {"toxic": "LABEL_1", "mild": "LABEL_0"}}
    assert read_options("gguf", {"kv": "float32"}) == {"kv": "float32"}
    assert read_options("transformers", {}) == {}


def test_no_number_is_without_bounds() -> None:
    """Neither of whole ones, nor of times: the greatest that could be written is a value of none."""
    for kind in KINDS.values():
        for option, one in kind.options.items():
            if one.takes.startswith(("a whole", "milli", "a share")):
                for told in ("9" * 11, "-1", "1e308", "inf", "nan"):
                    with pytest.raises(Invalid, match=f"option {option}="):
                        values("e", {option: told}, kind.options)


def test_every_option_is_told_and_reads_something() -> None:
    """docs/engines.md names them all; none takes an empty text for a number."""
    told = DOCS.read_text()
    for name, kind in KINDS.items():
        for option, one in kind.options.items():
            assert f"`{option}`" in told, f"{name}'s {option}"
            if one.read is not str and option not in ("fail", "labels"):
                with pytest.raises(Invalid, match=f"option {option}=: give "):
                    values(name, {option: ""}, kind.options)
