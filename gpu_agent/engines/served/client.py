"""Asking a server over HTTP: what may pass is tried again, with pauses that grow or that the server asks for; all else is told in words.

Source: RFC 9110, 10.2.3 (Retry-After), 15.5 and 15.6 (statuses); OpenAI API reference, Error codes.
"""

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count, islice
from typing import Any, Final, TypeVar

import httpx

from gpu_agent.engines.failures import FAILING, REFUSED
from gpu_agent.workloads.answers import broken_off
from gpu_agent.workloads.reading import HINTS, LONGEST_QUOTE, said_in
from infra.addresses import Askable
from streams.errors import Permanent, Temporary

T = TypeVar("T")
R = TypeVar("R")
CONNECT_S: Final = 10.0
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
LONGEST_WAIT_S: Final = 120.0  # that a server may ask for; an attempt that waits longer is better given up
PASSING: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
# Statuses that are about one request: it is too long, or has what the server does not take; its answer may quote it.
OF_REQUEST: Final = frozenset({400, 413, 422})
MOST_BYTES: Final = 64 * 2**20  # of one answer
PLAIN: Final = "identity"
OF_TRANSPORT: Final = ("content-encoding", "content-length", "transfer-encoding")  # of a body that is whole and plain by then
UNUSABLE, AWAY = "server-unusable", "server-away"


class Refused(Permanent):
    """The server refuses a request, and would again; `status` is HTTP's, or 200 where its answer is none."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message, code=REFUSED if status in OF_REQUEST else UNUSABLE)
        self.status = status


class Passing(Temporary):
    """What may pass: the server is away, busy or broken; `status` is HTTP's, 0 where nothing came."""

    def __init__(self, message: str, *, status: int = 0, wait_s: float = 0.0) -> None:
        super().__init__(message, code=FAILING if status else AWAY, retry_after_s=wait_s)
        self.status = status


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered: JSON's object, and its headers."""

    told: Mapping[str, Any]
    headers: Mapping[str, str]


class Client:
    """One server, asked by many threads at once. `key` is shown to it, and told nobody; `retries` follow a failure that may pass.

    Answers are asked for as they are, not compressed: of a small one that inflates to gigabytes no bound would be seen in time.
    """

    def __init__(self, base: str, *, key: str | None, retries: int, timeout_s: float, at_once: int, asks: Askable) -> None:
        self.base = base
        self._key = key
        self._retries = retries
        self._timeout_s = timeout_s
        self.at_once = at_once
        self._watching = asks.watching(base)
        shown = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(
            base_url=base, headers={"User-Agent": "assay", "Accept": "application/json", "Accept-Encoding": PLAIN} | shown,
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_S), limits=httpx.Limits(max_connections=at_once),
        )  # fmt: skip

    def get(self, path: str) -> Reply:
        """What lies there. Raises: as `post`."""
        return self._asked("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any], *, trying: bool = False) -> Reply:
        """What the server answers. `trying`: whether it takes this at all is the question, and what many answer then is 500.

        Raises: Refused; Passing, where it still fails after every retry.
        """
        return self._asked("POST", path, body, trying=trying)

    def each(self, work: Callable[[T], R], several: Sequence[T]) -> Iterator[tuple[int, R]]:
        """What comes of each, with its number, as it comes: as many at once as the server is asked.

        Raises: as `work`, once what has come beside it is told.
        """
        pool, waiting, under_way = ThreadPoolExecutor(self.at_once), iter(enumerate(several)), dict[Future[R], int]()
        try:
            while True:
                for number, one in islice(waiting, 2 * self.at_once - len(under_way)):
                    under_way[pool.submit(work, one)] = number
                if not under_way:
                    return
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for come in sorted(done, key=lambda future: future.exception() is not None):
                    yield under_way.pop(come), come.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Ends its connections."""
        self._http.close()

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None, *, trying: bool = False) -> Reply:
        for attempt in count():
            try:
                return self._once(method, path, body)
            except Passing as error:
                if trying and error.status == 500 and attempt:
                    raise Refused(str(error), status=500) from error
                if attempt >= self._retries or error.retry_after_s > LONGEST_WAIT_S:
                    raise Passing(f"{error}; that was try {attempt + 1}", status=error.status, wait_s=error.retry_after_s) from error
                grown_s = min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S)
                time.sleep(max(error.retry_after_s, grown_s * random.uniform(0.5, 1.0)))
        raise AssertionError("it is asked until it answers, or no more")

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> Reply:
        try:
            response = self._whole(method, path, body)
        except httpx.TimeoutException as error:
            raise self._passing(f"answers nothing for {self._timeout_s:.0f} s ({type(error).__name__})") from error
        except httpx.TransportError as error:
            raise self._passing(f"cannot be reached, or ended in the middle ({type(error).__name__}: {error})") from error
        if response.status_code in PASSING:
            asks = _asked_wait_s(response.headers.get("retry-after", ""))
            patience = f"; it asks for {asks:.0f} s of patience" if asks else ""
            told = f"answers {response.status_code}: {self._quoted(response)}{patience}"
            raise self._passing(told, status=response.status_code, wait_s=asks)
        if not response.is_success:
            raise self._refused(path, response)
        return Reply(self._read(path, response), response.headers)

    def _whole(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        """The answer with all of its body. Raises: httpx's errors; Passing where it is not whole in time; Refused where it has no end."""
        until, held = time.monotonic() + self._timeout_s, bytearray()
        with self._http.stream(method, path, json=body, extensions=self._watching) as response:
            if (encoding := response.headers.get("content-encoding", PLAIN)) != PLAIN:
                raise Refused(f"{self.base}{path} answers {encoding}, though it was asked for plain text", status=200)
            for piece in response.iter_raw():
                held += piece
                if len(held) > MOST_BYTES:
                    raise Refused(f"{self.base}{path} answers with more than {MOST_BYTES >> 20} MiB", status=200)
                if time.monotonic() > until:
                    raise self._passing(f"does not come to the end of its answer in {self._timeout_s:.0f} s")
            headers = [(name, value) for name, value in response.headers.multi_items() if name not in OF_TRANSPORT]
            return httpx.Response(response.status_code, headers=headers, content=bytes(held))

    def _read(self, path: str, response: httpx.Response) -> Mapping[str, Any]:
        """The object in a 200's body. Raises: Refused for HTML and its like; Passing for half an answer, and an error inside of one."""
        kind = response.headers.get("content-type", "")
        if "json" not in kind:
            raise Refused(
                f"{self.base}{path} answers {kind or 'without a content type'}, no JSON: is it the address of a server with OpenAI's "
                "interface?", status=200,
            )  # fmt: skip
        try:
            told = json.loads(response.content)
        except ValueError as error:
            raise self._passing("answers half a document, which is no JSON") from error
        except RecursionError as error:
            raise Refused(f"{self.base}{path} answers JSON that is nested without end", status=200) from error
        if not isinstance(told, dict):
            raise Refused(f"{self.base}{path} answers JSON that is no object: is it OpenAI's interface?", status=200)
        if told.get("error") and not told.get("choices"):
            raise self._passing(f"answers 200 with an error: {self._quoted(response)}", status=200)
        if reason := broken_off(told):
            raise self._passing(f"broke its text off, and ends it by {reason!r}", status=200)
        return told

    def _passing(self, told: str, **named: Any) -> Passing:
        return Passing(f"the server at {self.base} {told}", **named)

    def _refused(self, path: str, response: httpx.Response) -> Refused:
        status = response.status_code
        if response.is_redirect:
            hint = f"; it sends to {response.headers.get('location', 'elsewhere')[:LONGEST_QUOTE]}: give that server's address"
        else:
            hint = f"; {HINTS[status]}" if status in HINTS else ""
        return Refused(f"{self.base}{path} answers {status}: {self._quoted(response)}{hint}", status=status)

    def _quoted(self, response: httpx.Response) -> str:
        """What an error's body says, without the key."""
        line = said_in(response.text)
        return (line.replace(self._key, "…") if self._key else line) or "nothing more"


def _asked_wait_s(told: str) -> float:
    """How long a Retry-After asks to wait, in seconds or until a date; 0 where it does not say."""
    if told.strip().isdecimal():
        return float(told)
    try:
        until = parsedate_to_datetime(told)
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, (until.astimezone(UTC) - datetime.now(UTC)).total_seconds())
