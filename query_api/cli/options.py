"""Options that many commands share."""

import os
from typing import Annotated

import typer

from query_api.cli.completing import run_ids, task_names

AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document, nothing else")]
Wait = Annotated[bool, typer.Option("--wait", help="follow the run to its end")]
RunId = Annotated[str, typer.Argument(help="the run's id, as `assay runs` shows it", autocompletion=run_ids)]
TaskOnly = Annotated[str | None, typer.Option("--task", help="only this task", autocompletion=task_names)]
Submitter = Annotated[str | None, typer.Option(help="who asks; you, where nobody is named")]
ME = os.environ.get("USER", "anonymous")
BudgetS = Annotated[float | None, typer.Option(help="seconds that it may run; then it stops, and keeps what it has")]
Deadline = Annotated[str | None, typer.Option(help="when it stops at the latest: 2026-12-01T18:00Z, or 30m, 2h, 1d from now")]
UntilWithin = Annotated[
    float | None, typer.Option(help="stop a task once each of its figures is known to ± this; however often it is looked at, at 95 %")
]
Adaptive = Annotated[
    int | None, typer.Option(help="ask so many documents of each task, and estimate the whole by other models' runs: docs/adaptive.md")
]
Vary = Annotated[
    str | None, typer.Option(help="build each repeat by another seed of its few-shot examples, another prompt format, or both: seed,format")
]
ModelPublished = Annotated[
    str | None, typer.Option(help="when the model was published, YYYY-MM or YYYY-MM-DD; else its card says: docs/contamination.md")
]
BudgetUsd = Annotated[float | None, typer.Option(help="what its agents' time may cost by the price book")]
ChatTemplate = Annotated[bool, typer.Option("--chat", help="dress prompts in the model's own chat template")]
System = Annotated[str | None, typer.Option(help="a system text before every prompt")]
FoldSystem = Annotated[
    bool | None,
    typer.Option("--fold-system/--no-fold-system", help="the system message within the first user message, for templates without its role"),
]
Multiturn = Annotated[bool | None, typer.Option("--multiturn/--no-multiturn", help="few-shot examples as turns of the chat")]
Thinking = Annotated[
    bool | None, typer.Option("--thinking/--no-thinking", help="whether the model thinks first; else as its template has it")
]
Private = Annotated[bool, typer.Option("--private", help="tell its prompts and answers nowhere but in the log: docs/privacy.md")]
Visibility = Annotated[
    str | None, typer.Option(help="who sees it: public, organisation (unless another is said) or private: docs/access.md")
]
Judge = Annotated[list[str] | None, typer.Option(help="a model that judges the answers once they are complete; several: each")]
Url = Annotated[str | None, typer.Option(help="a server with OpenAI's interface, which knows the model by that name: docs/engines.md")]
Credential = Annotated[
    str | None, typer.Option(help="the name of the key that is shown to the server (docs/engines.md) or the hub (docs/models.md)")
]
JudgeTask = Annotated[str, typer.Option(help="what the judges go by; `assay tasks assay_judge` lists it")]
FewshotExcludeSelf = Annotated[
    bool, typer.Option("--fewshot-exclude-self", help="no document among its own examples; lm-eval may, where a task has one split")
]
Base = Annotated[str | None, typer.Option(help="the model that an adapter is put on, where its settings name another place")]
TrustModelCode = Annotated[bool, typer.Option("--trust-model-code", help="let the model run Python that its folder brings")]
NoTruncation = Annotated[bool, typer.Option("--no-truncation", help="fail over a request that the model's window would truncate")]
Licence = Annotated[
    str | None, typer.Option("--licence", help="refuse a model under any other licence than these, SPDX ids: apache-2.0,mit")
]
DataLicence = Annotated[
    str | None, typer.Option("--data-licence", help="refuse tasks whose data are under any other licence than these, SPDX ids")
]
NonCommercial = Annotated[
    bool, typer.Option("--non-commercial", help="take data whose licence is for non-commercial use alone; they are refused without")
]
ThinkingTokens = Annotated[int | None, typer.Option(help="tokens to think with; then the answer must come")]
