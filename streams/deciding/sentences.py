"""A sentence read into a requirement, by rules: what was understood of which words, and what was not. It is shown for confirmation.

A rule knows a turn of phrase and what it means; of two that know the same words the earlier one counts. Nothing is guessed from words that
no rule knows: they are told. Tasks that a use suggests are marked as suggestions.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from streams.errors import Invalid

LONGEST: Final = 1000
FLAGS: Final = re.IGNORECASE | re.ASCII  # without the second ſ is an s
Field = tuple[str, ...]  # the part of the requirement and the field in it
Said = Iterator[tuple[Field, Any]]
# Of 3.000 nobody can say whether it is three or three thousand: it is no number.
NUMBER: Final = r"(?<!\d)(?<!\d[.,])(?![1-9]\d{0,2}(?:\.\d{3})+(?!\d))(\d{1,3}(?:[,_]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?!\d|[.,]\d)"
COUNTS: Final[Mapping[str, int]] = MappingProxyType({
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "eight": 8, "ten": 10, "dozen": 12, "sixteen": 16,
    "twenty": 20, "fifty": 50, "hundred": 100, "thousand": 1000,
})  # fmt: skip
COUNT: Final = rf"(?:{NUMBER}|((?:{'|'.join(COUNTS)})(?:\s+(?:hundred|thousand))?))"
WHOLE: Final = r"([1-9]\d{0,3})"
TWO_OR_MORE: Final = "|".join(name for name, count in COUNTS.items() if count > 1)
# What stands behind these words is not wanted; "not more than" is.
NOT: Final = (
    r"(?:\bnot\b(?!\s+(?:more|less|over|above|under|below|longer|later))|\bno\b(?!\s+(?:more|less))|n't\b|\bnever\b|\bexcept\b"
    r"|\bwithout\b)(?:\s+[\w-]+){0,4}\s*$"
)
# Before the number of a bound these turn it around: at least 3000 USD is no budget, at most 60 % no floor.
UPWARD: Final = re.compile(
    r"(?:at least|(?<!no )(?<!not )(?:over|above|more than|longer than)|(?:no|not) (?:less|under|below)(?: than)?|minimum(?: of)?|>=?)"
    r"\s*[$€]?\s*$", FLAGS
)  # fmt: skip
DOWNWARD: Final = re.compile(
    r"(?:at most|up to|(?<!no )(?<!not )(?:under|below|less than)|(?:no|not) (?:more|over|above)(?: than)?|maximum(?: of)?|<=?)\s*$", FLAGS
)
SHORTER: Final = re.compile(DOWNWARD.pattern.replace("|up to", ""), FLAGS)  # a context of up to 8k is one that holds 8k
# A percentile or a mean other than the 95th percentile, which is what a bound of time is of: told before, or behind it.
OTHER: Final = r"(?:p(?!95\b)\d+(?:\.\d+)?|median|average|avg|mean|typical|worst[- ]case|(?!95)\d+(?:st|nd|rd|th)[- ]percentile)"
OTHER_BEFORE: Final = re.compile(rf"\b{OTHER}(?: time| of| the| for| on)*\s*$", FLAGS)
OTHER_BEHIND: Final = re.compile(rf"\s*[,(]?\s*(?:(?:at|as|in|on|for|the) )*{OTHER}\b\)?", FLAGS)
WITHIN: Final = r"(?:\s*(?:within|in|under|below|less than|at most|up to|no more than|<=?|of|is))+\s*"
DEVICES: Final = r"(?:H100|H200|A100|B200|B300|GB200|L40S|L40|L4|A10G|A10|A40|T4|V100|MI300X|MI325X|MI355X|RTX ?\d{4}|Gaudi ?\d)"
LANGUAGES: Final[Mapping[str, str]] = MappingProxyType({
    "german": "de", "english": "en", "french": "fr", "spanish": "es", "italian": "it", "portuguese": "pt", "dutch": "nl", "polish": "pl",
    "chinese": "zh", "japanese": "ja", "korean": "ko", "arabic": "ar", "hindi": "hi", "russian": "ru", "turkish": "tr", "swedish": "sv",
})  # fmt: skip
# What a use suggests to measure: lm-eval's tasks.
USES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "(?:coding|code|programming)(?: assistant| bot)?|copilot": ("humaneval", "mbpp"),
    "chatbot|chat bot|assistant|customer service|support desk|helpdesk": ("ifeval", "mmlu"),
    "maths?|arithmetic|calculations?": ("gsm8k",),
    "question answering|questions?|rag|search|knowledge": ("mmlu", "truthfulqa_mc2"),
    "reasoning": ("arc_challenge", "hellaswag"),
    "translation|translating|translate": ("wmt16",),
})  # fmt: skip
THOUSANDS: Final = re.compile(r"\d\s*k\b", FLAGS)
MONEY: Final[Mapping[str, str]] = MappingProxyType({
    "$": "USD", "usd": "USD", "dollars": "USD", "dollar": "USD", "€": "EUR", "eur": "EUR", "euros": "EUR", "euro": "EUR",
})  # fmt: skip
AMOUNT: Final = rf"(?:(\$|€)\s*{NUMBER}(\s*k\b)?|{NUMBER}(\s*k\b)?\s*(\$|€|usd|eur|dollars?|euros?)\b)"
WORDS: Final = """
a an and are as at be best by can for from have has i in is it its least like model need needs of on or our per please run running should so
some most that the their they this to us use used using want we which with would you your who will serve serving must more than p95
"""
IDLE: Final = frozenset(WORDS.split())  # they mean nothing to a requirement
NEGATED: Final = re.compile(NOT, FLAGS)


@dataclass(frozen=True, slots=True)
class Understood:
    """What words were taken to mean. `suggested`: nobody asked for it in so many words."""

    words: str
    field: str
    value: Any
    suggested: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """A requirement as people write it, what it comes from, and the words that no rule knows."""

    requirement: Mapping[str, Any]
    understood: tuple[Understood, ...]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A turn of phrase, and what it says. `turns`: what before its number says the contrary; `p95`: it is of the 95th percentile alone."""

    phrase: "re.Pattern[str]"
    says: Callable[["re.Match[str]"], Said]
    suggested: bool = False
    turns: "re.Pattern[str] | None" = None
    p95: bool = False

    def unlike(self, text: str, found: "re.Match[str]") -> tuple[int, int] | None:
        """From where to where the text says something else than the rule; None where it says just that."""
        start, end = found.span()
        if unwanted := NEGATED.search(text[:start]):
            return unwanted.start(), end
        number = next((found.start(n + 1) for n, one in enumerate(found.groups()) if one and one[0].isdigit()), start)
        if self.turns and (turned := self.turns.search(text[:number])):
            return min(turned.start(), start), end
        if self.p95 and (other := OTHER_BEFORE.search(text[:start])):
            return other.start(), end
        if self.p95 and (behind := OTHER_BEHIND.match(text, end)):
            return start, behind.end()
        return None


def read(sentence: str, *, tasks: Iterable[str] = (), suites: Iterable[str] = ()) -> Read:
    """What a sentence asks for. `tasks` are known by name, and so are suites: "the reasoning suite".

    Raises: Invalid where nothing in it is understood.
    """
    if len(sentence) > LONGEST:
        raise Invalid(f"the sentence has {len(sentence)} characters; {LONGEST} are read: write a requirement as YAML", code="sentence")
    told: dict[str, Any] = {}
    understood, refused, left = list[Understood](), list[str](), " ".join(sentence.split())
    named = [task for task in tasks if task.lower() in left.lower()]
    for rule in (*RULES, *_suites(suites), *_named(named), *SUGGESTIONS):
        if rule.suggested and any(not one.suggested for one in understood if one.field.startswith("tasks.")):
            break
        while found := rule.phrase.search(left):
            if unlike := rule.unlike(left, found):
                start, end = unlike
                refused.append(left[start:end].strip(" ,"))
                left = f"{left[:start]}{'·' * (end - start)}{left[end:]}"
                continue
            left = f"{left[: found.start()]}{'·' * len(found[0])}{left[found.end() :]}"
            understood += [Understood(found[0].strip(" ,"), *one, rule.suggested) for one in _set(told, rule.says(found))]
    if not understood:
        raise Invalid("nothing in this sentence is understood; say for instance: a chatbot, 20 requests a second, prompts of 800 tokens, "
                      "answers of 200 tokens, first token within 800 ms, at most 3000 USD a month, on L40S", code="sentence")  # fmt: skip
    return Read(told, tuple(understood), (*refused, *_left(left)))


def as_yaml(requirement: Mapping[str, Any]) -> str:
    """The requirement as a file for the command line; values are JSON, which YAML reads."""
    return "".join(f"{part}: {json.dumps(value, ensure_ascii=False)}\n" for part, value in requirement.items())


def _set(told: dict[str, Any], says: Said) -> Iterator[tuple[str, Any]]:
    """Puts what is said into the requirement; of one field the first counts, of a list all."""
    for field, value in says:
        part = told
        for name in field[:-1]:
            part = part.setdefault(name, {})
        if isinstance(value, list):
            part[field[-1]] = [*part.get(field[-1], []), *(one for one in value if one not in part.get(field[-1], []))]
        elif field[-1] in part:
            continue
        else:
            part[field[-1]] = value
        yield ".".join(field), value


def _left(text: str) -> Iterator[str]:
    """The words that no rule knows and that may mean something."""
    for part in re.split(r"(?:[·;:!?()]|(?<!\d)[.,]|[.,](?!\d))+", text):
        words = part.split()
        while words and words[0].lower() in IDLE:
            words = words[1:]
        while words and words[-1].lower() in IDLE:
            words = words[:-1]
        if words:
            yield " ".join(words)


def _number(text: str | None, word: str | None = None) -> str:
    return text.replace(",", "").replace("_", "") if text else str(math.prod(COUNTS[one] for one in (word or "one").lower().split()))


def _rate(found: "re.Match[str]") -> Said:
    unit = {"s": "/s", "m": "/min", "h": "/h"}.get(found["per"][0].lower(), "")
    count = _number(found[1], found[2])
    if found["per"].lower().startswith("d"):
        yield ("traffic", "rate"), f"{float(count) / 24:.4g}/h"
    else:
        yield ("traffic", "rate"), f"{count}{unit}"


def _time(*field: str) -> Callable[["re.Match[str]"], Said]:
    def says(found: "re.Match[str]") -> Said:
        unit = found["unit"].lower()
        short = "min" if unit.startswith("min") else "ms" if unit.startswith("m") else "s"
        yield field, f"{_number(found['time'])} {short}"

    return says


def _tokens(*field: str) -> Callable[["re.Match[str]"], Said]:
    def says(found: "re.Match[str]") -> Said:
        count = next(one for one in found.groups() if one and one[0].isdigit())
        yield field, f"{_number(count)} {'k' if THOUSANDS.search(found[0]) else 'tokens'}"

    return says


def _money(*field: str) -> Callable[["re.Match[str]"], Said]:
    def says(found: "re.Match[str]") -> Said:
        before, first, first_k, second, second_k, after = found.groups()[:6]
        amount = float(_number(first or second)) * (1000 if first_k or second_k else 1)
        yield field, f"{amount:.12g} {MONEY[(before or after).lower()]}"

    return says


def _devices(found: "re.Match[str]") -> Said:
    names = re.findall(DEVICES, found[0], FLAGS)
    yield ("allowed", "hardware"), [re.sub(r"\s+", " ", name.upper()) for name in names]


def _owned(found: "re.Match[str]") -> Said:
    yield ("allowed", "owned", re.sub(r"\s+", " ", found["device"].upper())), int(_number(found[1], found[2]))


def _always(field: Field, value: Any) -> Callable[["re.Match[str]"], Said]:
    return lambda _found: iter([(field, value)])


def _languages(found: "re.Match[str]") -> Said:
    yield ("allowed", "languages"), [LANGUAGES[found[0].lower()]]


def _licences(found: "re.Match[str]") -> Said:
    told = found[0].lower()
    plain = "open" in told or "permissive" in told
    yield ("allowed", "licences"), [licence for name, licence in (("apache", "apache-2.0"), ("mit", "mit")) if plain or name in told]


def _region(found: "re.Match[str]") -> Said:
    told = found[1].lower()
    known = {"eu": "eu", "europe": "eu", "the eu": "eu", "us": "us", "usa": "us", "the us": "us"}
    yield ("allowed", "regions"), [known.get(told, told)]


def _named(tasks: Iterable[str]) -> Iterator[Rule]:
    """Rules for tasks that are named, with the least that is asked of them; the longest names first."""
    for task in sorted(tasks, key=lambda name: (-len(name), name)):
        name = re.escape(task)
        floor = (
            rf"(?:at least|over|above|more than|>=?)?\s*{NUMBER}\s*%\s*(?:on|in|at|of|for)\s+{name}\b"
            rf"|\b{name}\s*(?:of|over|above|at least|>=?|:)+\s*{NUMBER}\s*%"
        )
        yield Rule(re.compile(floor, FLAGS), _floor(task), turns=DOWNWARD)
        yield Rule(re.compile(rf"(?<![\w-]){name}(?![\w-])", FLAGS), _always(("tasks", task), 1))


def _suites(names: Iterable[str]) -> Iterator[Rule]:
    """Rules for suites: their names are plain words, and count only where the sentence calls them suites."""
    for name in sorted(names, key=lambda name: (-len(name), name)):
        told = rf"(?:the\s+)?(?:suite\s+{re.escape(name)}|{re.escape(name)}\s+suite)(?![\w-])"
        floor = rf"(?:at least|over|above|more than|>=?)?\s*{NUMBER}\s*%\s*(?:on|in|at|of|for)\s+{told}()"
        yield Rule(re.compile(floor, FLAGS), _floor(name), turns=DOWNWARD)
        yield Rule(re.compile(rf"(?<![\w-]){told}", FLAGS), _always(("tasks", name), 1))


def _floor(task: str) -> Callable[["re.Match[str]"], Said]:
    def says(found: "re.Match[str]") -> Said:
        yield ("tasks", task), 1
        yield ("floors", task), f"{_number(found[1] or found[2])} %"

    return says


def _suggests(tasks: Sequence[str]) -> Callable[["re.Match[str]"], Said]:
    return lambda _found: iter([(("tasks", task), 1) for task in tasks])


def _rule(phrase: str, says: Callable[["re.Match[str]"], Said], **how: Any) -> Rule:
    return Rule(re.compile(phrase, FLAGS), says, **how)


def _most(phrase: str, says: Callable[["re.Match[str]"], Said], *, p95: bool = False) -> Rule:
    """A rule of what something may be at most."""
    return _rule(phrase, says, turns=UPWARD, p95=p95)


def _plain(*field: str, form: str) -> Callable[["re.Match[str]"], Said]:
    """A number in a form: `{} J`."""
    return lambda found: iter([(field, form.format(_number(found[1]), *found.groups()[1:]))])


TIME: Final = rf"(?P<time>{NUMBER})\s*(?P<unit>ms|milliseconds?|seconds?|secs?|s|minutes?|min)\b"
TOKEN_COUNT: Final = rf"{NUMBER}\s*(?:k\s*)?(?:tokens?|tok)\b"
HAS: Final = r"\s*(?:of|with|have|has|are|about|around|:|=)+\s*(?:about\s*)?"
MOST: Final = r"(?:at most|under|below|up to|with|in)?\s*"
PER: Final = r"(?P<per>seconds?|secs?|s|minutes?|min|hours?|h|days?)\b"
GPUS: Final = r"(?:gpu|accelerator|card)"
NO_NET: Final = r"air[- ]?gapped|offline|(?:no|without(?: an?| the| any)?) (?:internet|net(?:work)?)(?: connection| access)?"
APACHE: Final = r"apache(?:[- ]2(?:\.0)?)?|mit"
LICENCES: Final = rf"(?:{APACHE})(?:(?:\s*(?:,|/|\bor\b|\band\b)\s*)+(?:{APACHE}))*"
RULES: Final[tuple[Rule, ...]] = (
    _rule(rf"\b{COUNT}\s*(?:requests?|reqs?|queries|messages?)\s*(?:/|per|an?|every)\s*{PER}", _rate),
    _rule(rf"\b{NUMBER}\s*(?:rps|qps)\b", _plain("traffic", "rate", form="{}/s")),
    _most(
        rf"(?:time to first token|first tokens?|ttft|(?:begins?|starts?) to answer){WITHIN}{TIME}", _time("latency", "ttft_p95"), p95=True
    ),
    _most(rf"{TIME}\s*(?:to|until|for|of)\s*(?:the\s*)?(?:first token|ttft)", _time("latency", "ttft_p95"), p95=True),
    _most(rf"(?:between tokens|inter-?token latency|itl|a token|per token|tpot){WITHIN}{TIME}", _time("latency", "itl_p95"), p95=True),
    _most(rf"{TIME}\s*(?:between tokens|an? token|per token)", _time("latency", "itl_p95"), p95=True),
    _most(rf"(?:answers?|responses?|repl(?:y|ies)|latency|end[- ]to[- ]end|e2e){WITHIN}{TIME}", _time("latency", "e2e_p95"), p95=True),
    _rule(
        rf"context(?:\s+(?:window|length))?{WITHIN}(?:at least\s*)?{NUMBER}\s*k?(?:\s*tokens)?\b",
        _tokens("allowed", "context"),
        turns=SHORTER,
    ),
    _rule(rf"\b{NUMBER}\s*k?\s*(?:tokens? )?(?:of\s*)?context(?:\s+window)?", _tokens("allowed", "context"), turns=SHORTER),
    _rule(rf"(?:prompts?|inputs?|requests?){HAS}{TOKEN_COUNT}", _tokens("traffic", "input")),
    _rule(rf"\b{TOKEN_COUNT}\s*(?:in\b(?!\s*(?:under|within|less|\d))|inputs?|prompts?|of input)", _tokens("traffic", "input")),
    _rule(rf"(?:answers?|outputs?|responses?|replies){HAS}{TOKEN_COUNT}", _tokens("traffic", "output")),
    _rule(rf"\b{TOKEN_COUNT}\s*(?:out\b|outputs?|answers?|of output)", _tokens("traffic", "output")),
    _most(rf"{AMOUNT}\s*(?:/|per|a|for a|for each)\s*(?:1\s*m|million|mio\.?)\s*tokens?\b", _money("budget", "per_1m_tokens")),
    _most(rf"{AMOUNT}\s*(?:/|per|an?|each|every)\s*month(?:ly)?\b", _money("budget", "per_month")),
    _most(rf"\bmonthly (?:budget|bill|cost)s?{WITHIN}{AMOUNT}", _money("budget", "per_month")),
    _most(rf"{AMOUNT}\s*(?:of capital|capital|upfront|up front|to invest|once|for hardware|to buy)", _money("budget", "capital")),
    _most(rf"{MOST}{NUMBER}\s*(?:J|joules?)\s*(?:/|per|an?)\s*token\b", _plain("energy", "per_token", form="{} J")),
    _most(rf"{MOST}{NUMBER}\s*(GiB|GB|MiB|MB)\s*(?:of\s*)?(?:memory|vram|ram|gpu memory)", _plain("allowed", "memory", form="{} {}")),
    _rule(rf"{NUMBER}\s*%\s*(?:sure|certain|confiden(?:t|ce))", _plain("threshold", form="{} %"), turns=DOWNWARD),
    _rule(rf"(?<![\w-])(?:{WHOLE}|({TWO_OR_MORE}|one))\s*[x×]?\s*(?:nvidia |amd |intel )?(?P<device>{DEVICES})s?\b", _owned),
    _rule(rf"(?:\b(?:nvidia|amd|intel)?\s*{DEVICES}s?\b(?:\s*(?:,|or|and)\s*)?)+", _devices),
    _rule(rf"\b(?:{NO_NET})\b", _always(("allowed", "places"), ["air-gapped"])),
    _rule(rf"\b(?:one|a single|1) {GPUS}\b", _always(("allowed", "places"), ["one-gpu"])),
    _rule(rf"\b(?:cluster|(?:several|multiple|many) {GPUS}s)\b", _always(("allowed", "places"), ["several-gpus"])),
    _rule(r"\b(?:cpus?(?: only)?|edge(?: device)?|laptop|no gpu|without (?:a )?gpus?)\b", _always(("allowed", "places"), ["cpu"])),
    _rule(r"\b(?:fine-?tuned|instruct(?:ion)?(?:-tuned)?|chat-tuned)\b", _always(("allowed", "kinds"), ["fine-tuned"])),
    _rule(r"\bbase models?\b", _always(("allowed", "kinds"), ["base"])),
    _rule(rf"\b(?:{LICENCES}|permissive(?:ly)?|open)[- ]licen[cs]e[ds]?\b(?:(?:\s*(?:,|/|\bor\b|\band\b)\s*)+{LICENCES}\b)?", _licences),
    _rule(rf"\blicen[cs]ed?(?: under)? {LICENCES}\b", _licences),
    _rule(r"\b(?:in|within|hosted in|data in) ([a-z]{2}-[a-z]+-\d|the eu|eu|europe|the us|usa|us)\b", _region),
    _rule(rf"\b(?:{'|'.join(LANGUAGES)})\b", _languages),
    _rule(r"\bvllm\b", _always(("allowed", "engines"), ["vllm"])),
    _rule(r"\b(?:llama\.cpp|gguf)\b", _always(("allowed", "engines"), ["gguf"])),
)
SUGGESTIONS: Final = tuple(Rule(re.compile(rf"\b(?:{use})\b", FLAGS), _suggests(tasks), suggested=True) for use, tasks in USES.items())
