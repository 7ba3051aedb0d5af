"""Whether what others bring may run here: a model's own Python and pickles, which run as they are read, and Python of a task's definition.

Both who asks and whose machine it is must let it: a request's word alone is anybody's who may submit, and what runs reads all that the
process reads, the keys of everybody's private texts among it.
"""

from typing import Final

from infra.addresses import is_loopback, needs_keys
from infra.settings import Settings
from schemas.requests import ModelRef, TaskChoice
from streams.errors import Invalid

# What lets a model's code run, for messages.
HOW = "model.trust_code (--trust-model-code) in the request, and ASSAY_ALLOW_CODE=true where it runs"
TASK_CODE: Final = "task-code"
HOW_TASKS: Final = "ASSAY_ALLOW_TASK_CODE=true where tasks are planned and scored lets it (docs/tasks.md)"


def trusted(model: ModelRef, settings: Settings) -> bool:
    """Whether both who asks and whose machine it is let it run."""
    return model.trust_code and settings.allow_code


def check_task(choice: TaskChoice, settings: Settings) -> None:
    """Raises: Invalid where the request trusts the task's definition, and this machine does not."""
    if choice.trust_code and not settings.allow_task_code:
        raise Invalid(
            f"task {choice.name} trusts its definition (trust_code), and no task's Python runs, nor reads files, on this machine: write "
            f"templates and name a data set, without --trust-code, or ask whose machine it is: {HOW_TASKS}", code=TASK_CODE,
        )  # fmt: skip


def allows_tasks(settings: Settings) -> bool:
    """Whether a stack on one machine lets tasks bring Python: as it is set, else where nobody beyond that machine reaches its API and its
    log, and the API wants no keys: who asks there is at home."""
    if settings.allow_task_code is not None:
        return settings.allow_task_code
    own_log = all(is_loopback(f"//{server.strip()}") for server in settings.kafka.split(","))
    return own_log and is_loopback(settings.api) and not needs_keys(settings)
