"""docs/rigor.md: which method makes each figure, its source, and what `make bench-rigor` found of it."""

import itertools
import re
from collections.abc import Sequence
from typing import Final

from benchmarks.rigor_cells import Found

HEAD: Final = """# Whether the figures hold

Written by `make bench-rigor`. Every interval, range of ranks and p-value of Assay says 95 % or 5 %. Here the product's own functions are
held to that, by simulation, or over all outcomes where there are few. The cells are also in `benchmarks/results/rigor.json`.

## Methods

Every figure says which method made its interval (`method`), every difference which test made its p-value (`test`). All are in closed form:
the same values give the same figures.

{methods}
"Few clusters" beside a method says that there are fewer than 20: the interval is then only as good as its assumptions.
Values of 0 and 1 are taken for wrong and right where the metric is from 0 to 1, or nothing is known of its range.
"Few unlike values" says that fewer than five values tell how far those without a range spread.
Where values do not spread (all answers right), share clusters, or are those of a task that stopped early, the standard error is the
interval's own, its half-width over z; of other values with a range it is lm-eval's, s/√n, and a third of that at least. Where there is no
interval there is no standard error either.

Where the range of values is known, an interval leaves room for rare ones at its ends that no sample showed: fifty answers of 0.9 may hide
as many zeros as fifty right ones may hide wrong ones. Such an interval is wider than ± z standard errors: of scores with a standard
deviation of 0.13 by 58 % at 50 samples, 27 % at 200 and 12 % at 1,000; of scores spread evenly by 15, 8 and 4 %. **Of
values without a range no interval can hold that**: a metric without ends in `streams/quality/ranges.py` may have any value, and its
interval is of what was seen. How often it then misses stands below, among rare values.

"""
METHODS: Final = (
    ("Wilson", "right and wrong, no shared clusters",
     "the score interval", "Wilson 1927; Brown, Cai, DasGupta 2001"),
    ("Wilson, effective size", "right and wrong in clusters",
     "Wilson's on n over the design effect", "Korn, Graubard 1998; Franco et al. 2019"),
    ("Wilson, known range", "scores between two ends; repeats",
     "as far as z standard errors of samples of which as many are at the end instead: of right and wrong, Wilson's",
     "Wilson 1927; Anderson 1969; this page"),
    ("Wilson, by the standard error", "F1, MCC, BLEU: scores of a known range that are no means",
     "Wilson's on as many samples as have that error; F1's and MCC's by a bootstrap with half a sample more in each place of the table; "
     "none of an F1 of fewer than five samples",
     "Agresti 2013; this page"),
    ("… of clusters", "samples that share a passage",
     "CR2, Satterthwaite's t; a design effect drawn towards the worst where few clusters tell it",
     "Bell, McCaffrey 2002; Imbens, Kolesár 2016"),
    ("Wilson, joined", "the weighted mean of tasks: suites, groups, boards",
     "Wilson's with known range, of variances and ends' weights over all tasks; covariance of tasks over the same documents", "this page"),
    ("normal, joined", "the same of means that are no ratios",
     "z standard errors of the same variances", "Cochran 1977"),
    ("Student, corrected for skewness", "values without a range",
     "the least interval that holds Student's and Hall's", "Hall 1992; Zhou, Gao 2000"),
    ("…, so many set-ups", "repeats with other few-shot seeds and prompt formats",
     "to the squared margin comes t²·variance between set-ups / set-ups; of few set-ups less of what documents make of it is taken away",
     "Searle, Casella, McCulloch 1992; Zou, Donner 2008"),
    ("confidence sequence", "tasks that stopped early",
     "predictable empirical Bernstein, without replacement", "Waudby-Smith, Ramdas 2020, 2024"),
    ("adaptive, IRT", "tasks of which a part is asked",
     "two-parameter logistic, marginal maximum; its variance times the misfit on runs left out, Student's t",
     "Birnbaum 1968; Bock, Aitkin 1981; Polo et al. 2024"),
    ("adjusted Wald", "paired right and wrong",
     "one sample added for either side", "Bonett, Price 2012"),
    ("adjusted Wald, effective size", "paired clusters of right and wrong",
     "the same, on n over the design effect, with t", "as above"),
    ("adjusted Wald, known range", "paired scores between two ends",
     "the same: one sample that differs by the whole range for either side; its t test", "as above"),
    ("MOVER of the tasks' intervals", "the weighted mean of tasks' differences",
     "the intervals' margins, squared and added; covariance of tasks over the same documents, on which what is added is one",
     "Zou, Donner 2008; Zou, Huang, Zhang 2009"),
    ("MOVER of logarithms", "ratios of two runs' speed, energy and cost",
     "the same, of logarithms", "Zou, Donner 2008"),
    ("McNemar's mid-p test", "paired right and wrong",
     "the binomial's tail, the point by half", "Fagerland, Lydersen, Laake 2013"),
    ("t test, corrected for skewness", "paired values without a range",
     "the greater p of Student's and Hall's", "Hall 1992"),
    ("tests of all pairs, with Holm's correction", "ranges of ranks on boards",
     "as comparisons test them; what set-ups leave open of either is added, t at one less than there are", "Mogstad, Romano, Shaikh, "
     "Wilhelm 2024; Holm 1979"),
    ("smallest difference that can be found", "comparisons",
     "(t₁₋α/₂ₘ + z₀.₈) standard errors, m tests, and what few clusters are off by", "Bloom 1995; Miller 2024"),
    ("expected calibration error", "choices' confidence",
     "debiased by the folded normal, with room for what that leaves, and for few wrong answers; its interval holds 0 where χ² of the bins "
     "does", "Kumar, Liang, Ma 2019; Roelofs et al. 2022"),
    ("as good within a margin", "comparisons",
     "two one-sided t tests, with the variance that the margin itself would have", "Schuirmann 1987; Tango 1998"),
    ("bootstrap of answers", "Krippendorff's alpha, of what judges say of the same answers",
     "draws of answers, below with one more on which two judges disagree, corrected for bias; none where fewer than ten answers differ, or "
     "lie far off", "Krippendorff 2011; Zapf et al. 2016; Efron, Tibshirani 1993"),
    ("provisional", "means while a run goes on",
     "as above, from sums; Student's where no range is known; none of repeats and clusters", "as above"),
    ("prediction-powered", "a judge's mean, held to people's labels",
     "labels less λ times the judge there, and λ times the judge everywhere; one label added at either end",
     "Angelopoulos et al. 2023; Angelopoulos, Duchi, Zrnic 2023; Cochran 1977"),
    ("strengths", "comparisons in pairs",
     "Bradley–Terry with ties, order and length; bootstrap of documents by one Newton step",
     "Davidson 1970; Davidson, Beaver 1977; Shao, Tu 1995"),
)  # fmt: skip
TITLES: Final = {
    "rare values": "Rare values: how many intervals hold the mean of scores of which one in so many lies far from the others",
    "rare pairs": "Rare values in pairs: differences between runs of one mean, and runs as good as one another that are not",
    "totals": "Figures that are no means: how many intervals hold them",
    "agreement": "Agreement: how many intervals hold Krippendorff's alpha, or are left out as too few",
    "power": "What a comparison can find: how often it does",
    "as good": "As good within a margin: how often runs are called so that are apart by it",
    "provisional": "Provisional figures: how many intervals hold the mean",
    "sampled runs": "Sampled runs: how many intervals hold the model's share, over requests' seeds",
    "ranks": "Ranks: boards on which any range misses its model's true place",
    "joined": "What tasks share, on boards, in groups and in comparisons: how many intervals hold the truth, and boards with a false range",
    "errors": "Standard errors: how many half-widths are more than 3, or less than 0.8, times z of them",
    "choices": "Recommendations from little: how much surer they say that they are than they are right",
    "suites": "Suites: how many intervals hold the mean of the tasks' shares",
    "clusters": "Clusters: how many intervals hold the share, of answers in G clusters",
    "pairs": "Paired differences: how many intervals hold the difference",
    "repeats": "Repeats: how many intervals hold the share",
    "set-ups": "Set-ups: how many intervals hold the mean over all set-ups that might be asked",
    "set-ups compared": "Set-ups compared: how many intervals hold the difference over all; how often one is found where there is none",
    "calibration": "Calibration: how many intervals hold the expected calibration error",
    "tests": "Tests: how often they find a difference where there is none",
    "labels": "Judges held to people: how many intervals hold the mean that people would give",
    "strengths": "Comparisons in pairs: how many intervals hold the truth, or are left out as too few",
    "adaptive": "Adaptive: how many intervals hold the share that all documents give, of held-out models asked 100 of 1,000",
    "stopping": "Stopping: how often a sequence is wrong at any of its samples",
}
EXPLAINED: Final = {
    "rare values": "A score is nearly always the same, or spread a little, and rarely at an end. Where no range is known there is no\n"
    "bound.",
    "rare pairs": "One in so many differs by 0.9, the others by a little less than nothing, so that the runs are as good; or apart by\n"
    "0.05.",
    "totals": "Of two labels, of which one is rarer, so many predictions are wrong: F1 and MCC near 1 and far from it. Tables without one\n"
    "of the labels have no MCC, and no interval.",
    "agreement": "Two judges who slip on so many: of two labels, one of which may be rare, or of five or ten points.",
    "power": "A first comparison of equals tells the smallest difference that it can find, or how many samples find 0.1. The label is\n"
    "0.8; what the first comparison itself is off by is in the share. Passages: half of an answer is its passage's. Where it says\n"
    "that there is none, nothing is wrong.",
    "as good": "Passages as above. Skewed: exponential differences, apart by the margin to where the tail is; of 20 of them 6 to 7 % are\n"
    "called as good.",
    "provisional": "From sums over the n samples that are there by then.",
    "ranks": "Of equal models every range must hold all places. In a ladder each model is better than the next. Passages: how many\n"
    "samples share each. Of every other model skewed: its values are exponential, the others' normal.",
    "joined": "Equal models, and tasks whose answers about one document are alike (r = 0.6). Gaps: documents without a value,\n"
    "in each task others. SD: how far set-ups are apart, where documents are by 1; each suits all tasks alike. One fails: on the same\n"
    "documents in all tasks, where they are the same.",
    "choices": "Models whose abilities are apart by 0.3 (SD), where documents are by 1. Of two or three the scores stand as they are;\n"
    "four or more are drawn towards what they have in common ([deciding](deciding.md)).",
    "suites": "K tasks of n samples. Equal: all have the share p; spread: they lie about it by up to nine tenths of the room that there\n"
    "is. Wilson's own interval holds 0.922 of one task at n = 50, p = 0.98, because samples are whole: hence the bound. Between the\n"
    "columns it holds less in places: of any n samples 0.84 where the truth is 0.17/n from an end, and of two to eight documents\n"
    "0.83 at the worst share, 0.95 over all of them.",
    "clusters": "The bound is 0.93, or what Wilson's interval holds of G samples where that is less: clusters whose answers are all alike\n"
    "can say no more than that. ICC: how alike they are.",
    "repeats": "The bound is 0.93, or what Wilson's interval holds of 50 samples where that is less. ICC: how much of an answer is its\n"
    "document's.",
    "set-ups": "Right and wrong answers, or any values; SD: how far set-ups are apart, where documents are by 1 (right and wrong: on the\n"
    "logit's scale).",
    "set-ups compared": "Two models on the same documents and in the same set-ups, each of which suits each model otherwise, by SD.",
    "calibration": "A model is calibrated, or too sure of itself by so much, everywhere or in a part of its confidences, or its shares\n"
    "are too even.",
    "adaptive": "Runs: how many whole runs the parameters are fitted from. Where the model is not true the bound is 0.9.",
    "labels": "A person labels n of N answers. The judge is wrong on some, and mostly too kind; or it says about\n"
    "0.7 and 0.3 (unsure), or 0.8 and 0.4 with an error in ten (of two words).",
    "strengths": "Every pair of models in both orders on D documents. Where each model is better on some documents, the likelihood is\n"
    "wrong, and intervals of whole documents are not.",
    "pairs": "b, c: how many the first, and the second, alone has right. G: clusters of five. F1: scores of which so many differ.",
}
SHARE: Final = re.compile(r", p = ([0-9.]+)")


def page(found: Sequence[Found]) -> str:
    """The page as Markdown."""
    missed = [one for one in found if one.verdict == "misses"]
    told = "None misses its bound." if not missed else f"{len(missed)} miss theirs: {'; '.join(_named(one) for one in missed)}."
    summary = (
        f"## What was found\n\n{len(found)} cells. {told} A share beyond its bound by three standard errors of its simulations or\n"
        "fewer is noise, and marked ~; one further off is bold. The standard error stands above each table. Bounds have one\n"
        "side: where few clusters tell the design effect, or few samples differ, intervals hold more than they say, and are wider\n"
        "than they need be.\n"
    )
    methods = "| method | of what | how | source |\n| --- | --- | --- | --- |\n" + "".join(f"| {' | '.join(one)} |\n" for one in METHODS)
    groups = itertools.groupby(found, key=lambda one: one.cell.grid)
    return HEAD.replace("{methods}\n", methods + "\n") + summary + "".join(_grid(grid, list(own)) for grid, own in groups)


def _named(one: Found) -> str:
    return f"{one.cell.grid}, {one.cell.name} ({one.share:.3f} for {one.cell.bound:.3f})"


def _grid(grid: str, found: Sequence[Found]) -> str:
    """A grid's title, what it says, and its table: a column for each share where cells name one."""
    side = "at least" if found[0].cell.least else "at most"
    bound = max(one.cell.bound for one in found)
    noises = [one.noise for one in found if one.noise]
    noise = f", noise ± {min(noises):.3f} to {max(noises):.3f}" if noises else ""
    explained = f"{EXPLAINED[grid]}\n\n" if grid in EXPLAINED else ""
    told = f"\n### {TITLES[grid]}\n\n{explained}Bound: {side} {bound:g}{noise}.\n\n"
    shares = sorted({match[1] for one in found if (match := SHARE.search(one.cell.name))}, key=float)
    plain = [one for one in found if not SHARE.search(one.cell.name)]
    tables = [_pivoted(found, shares, bound)] * bool(shares) + [_listed(plain, bound)] * bool(plain)
    return told + "\n".join(tables)


def _pivoted(found: Sequence[Found], shares: Sequence[str], bound: float) -> str:
    rows: dict[str, dict[str, Found]] = {}
    for one in found:
        if match := SHARE.search(one.cell.name):
            rows.setdefault(SHARE.sub("", one.cell.name), {})[match[1]] = one
    head = f"| | {' | '.join(f'p = {share}' for share in shares)} |\n|{' --- |' * (len(shares) + 1)}\n"
    return head + "".join(
        f"| {name} | {' | '.join(_share(own[share], bound) if share in own else '' for share in shares)} |\n" for name, own in rows.items()
    )


def _listed(found: Sequence[Found], bound: float) -> str:
    return "| | found |\n| --- | --- |\n" + "".join(f"| {one.cell.name} | {_share(one, bound)} |\n" for one in found)


def _share(one: Found, bound: float) -> str:
    """The share, with its own bound where that is another, marked where it is beyond it."""
    own = f" ({one.cell.bound:.3f})" if one.cell.bound != bound else ""
    told = f"{one.share:.3f}"
    return (f"**{told}**" if one.verdict == "misses" else f"{told} ~" if one.verdict == "within the noise" else told) + own
