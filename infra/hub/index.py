"""What a hub says of a model: the commit that a revision means, its files with their hashes, its licence, and who may have it.

Asked through huggingface_hub, which knows a hub's errors; only with the key that the request names, and never with one that this machine's
user has. The files' bytes are fetched by infra/fetching.py: huggingface_hub's own downloader begins anew in each process, and compares
sizes, not hashes.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import quote

import httpx2  # what huggingface_hub speaks by: where a hub is not there, these are its errors
from huggingface_hub import HfApi, ModelInfo, constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from infra.fetching import PASSING, PATIENCE_S, TRIES, Sum, pause_s
from streams.errors import AssayError, Invalid, NotFound, Unavailable
from streams.hub_names import COMMIT, Named

T = TypeVar("T")
DOCS: Final = "docs/models.md"


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose key is shown: the name by which a request has it, and the key itself, which stands in no message."""

    name: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A file of a repository."""

    name: str
    size_bytes: int
    sum: Sum | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A model at one commit. `restricted`: gated or private, so that not everybody may have it."""

    named: Named
    commit: str
    files: tuple[File, ...]
    licence: str | None
    restricted: bool

    def address(self, file: File) -> str:
        """Where a file is."""
        return f"{endpoint()}/{self.named.repository}/resolve/{self.commit}/{quote(file.name)}"


def endpoint() -> str:
    """The hub's address, or the mirror's that HF_ENDPOINT names."""
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def listing(named: Named, asker: Asker) -> Listing:
    """What the hub says of the model. Raises: NotFound, Invalid, Unavailable, in words that say what to do."""
    told = _asked(
        named, asker, lambda api: api.model_info(named.repository, revision=named.revision, files_metadata=True, timeout=PATIENCE_S)
    )
    if told.sha is None or not COMMIT(told.sha):
        raise Invalid(f"{endpoint()} names no commit of {named.repository}: is it a hub? HF_ENDPOINT sets another", code="hub")
    files = tuple(
        File(one.rfilename, one.size or 0, Sum(one.lfs.sha256) if one.lfs else Sum(one.blob_id, git=True) if one.blob_id else None)
        for one in told.siblings or ()
    )
    return Listing(named, told.sha, files, _licence(told), restricted=bool(told.gated or told.private))


def check_access(named: Named, asker: Asker) -> None:
    """Raises: NotFound, Invalid, where the asker may not have the model."""
    _asked(named, asker, lambda api: api.auth_check(named.repository))


def refused(named: Named, asker: Asker) -> Invalid:
    """That the model is not for who asks, and what to do."""
    if asker.name is None:
        return Invalid(
            f"{named.repository} is gated: accept its terms at {endpoint()}/{named.repository}, and name a key that may fetch it with "
            f"--credential NAME (credential_ref; {DOCS})", code="model-gated",
        )  # fmt: skip
    return Invalid(
        f"{named.repository} is gated, and the key of credential {asker.name!r} may not fetch it: accept its terms at "
        f"{endpoint()}/{named.repository} with the account that the key is of, or name another credential", code="model-gated",
    )  # fmt: skip


def _licence(told: ModelInfo) -> str | None:
    named = getattr(told.card_data, "license", None)
    tagged = (tag.partition(":")[2] for tag in told.tags or () if tag.startswith("license:"))
    return named if isinstance(named, str) else next(tagged, None)


def _asked(named: Named, asker: Asker, ask: Callable[[HfApi], T]) -> T:
    """The answer; a hub that is away or busy for a moment is asked again."""
    api, tried = HfApi(endpoint=endpoint(), token=asker.key or False), 0
    while True:
        tried += 1
        try:
            return ask(api)
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status not in PASSING and status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise _told(error, named, asker) from None
            why, wait_s = f"it answers {status}", pause_s(error.response.headers, tried=tried)
        except (httpx2.TransportError, OfflineModeIsEnabled) as error:
            why, wait_s = ("HF_HUB_OFFLINE is set" if isinstance(error, OfflineModeIsEnabled) else str(error)), pause_s({}, tried=tried)
        except HFValidationError as error:
            raise Invalid(f"no hub has a model {named.repository!r}: {error}", code="model-not-found") from error
        except ValueError as error:
            raise Invalid(f"{endpoint()} does not answer as a hub does ({error}); HF_ENDPOINT sets another", code="hub") from error
        if tried >= TRIES or why.startswith("HF_"):
            raise Unavailable(
                f"{named.uri} is not here, and {endpoint()} cannot be asked for it: {why}; set HF_ENDPOINT to a mirror that can be "
                "reached, or fetch the model elsewhere and name its folder", code="hub-unreachable",
            )  # fmt: skip
        time.sleep(wait_s)


def _told(error: HfHubHTTPError, named: Named, asker: Asker) -> AssayError:
    """A hub's refusal in our words: its own hold addresses, and tell of options that are not ours."""
    shown = f"the key of credential {asker.name!r} opens" if asker.name else "everybody may have (a private one wants --credential NAME)"
    unknown = NotFound(
        f"no model {named.repository}: there is no such folder here, and none at {endpoint()} that {shown}", code="model-not-found"
    )
    match error:
        case RevisionNotFoundError():
            return NotFound(
                f"{named.repository} has no revision {named.revision!r} at {endpoint()}; name a branch, a tag or a commit that it has, or "
                "none for the newest", code="model-revision",
            )  # fmt: skip
        case GatedRepoError():
            return refused(named, asker)
        case RepositoryNotFoundError():
            return unknown
    match error.response.status_code:
        case HTTPStatus.NOT_FOUND:
            return unknown
        case HTTPStatus.UNAUTHORIZED if asker.name:
            return Invalid(f"{endpoint()} does not know the key of credential {asker.name!r}; put a valid one in its file", code="hub-key")
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return refused(named, asker)
        case status:
            return Invalid(f"{endpoint()} refuses to tell of {named.repository}: it answers {status}", code="hub")
