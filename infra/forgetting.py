"""An organisation's private texts forgotten: its keys are destroyed, then the log is told, so that what it says is so."""

from infra.identity import producer
from infra.kafka import Log
from infra.text_keys import Kept, TextKeys
from schemas.trust import TextsForgotten
from streams.errors import Unavailable


async def forget(log: Log, organisation: str, *, by: str, reason: str) -> list[TextsForgotten]:
    """What is said of each key, once the log has it; again, the same. Raises: NotFound, Unavailable: the keys are gone then."""
    said = [told(one) for one in log.vault.keys.forget(organisation, by=by, reason=reason)]
    try:
        await log.publish_all(said)
    except Unavailable as error:
        raise Unavailable(
            f"the keys of {organisation} are destroyed, and the log was not told ({error}): ask again", code=error.code
        ) from error
    return said


def told(gone: Kept) -> TextsForgotten:
    """The proof that is left of a key."""
    return TextsForgotten(
        occurred_us=gone.forgotten_us or 0, producer=producer("assay"), organisation_id=gone.organisation, organisation=gone.organisation,
        text_key=gone.key_id, master_key=gone.master, wrapped_sha256=gone.wrapped_sha256, made_us=gone.made_us, by=gone.by,
        reason=gone.reason,
    )  # fmt: skip


def held(keys: TextKeys, organisation: str) -> list[Kept]:
    """The keys of an organisation that are there to be destroyed."""
    return [one for one in keys.every() if one.organisation == organisation and one.forgotten_us is None]
