"""The engine's process: `python -m gpu_agent.runner` reads calls from its standard input and writes replies to its output.

A frame is a 4-byte length and a pickle; both ends are one program on one machine. `Engines` is the worker's end of it. Whatever an engine
raises is a reply too, and the process serves on, with the model that it holds; only what loses the device ends it, and what kills it.
"""

import asyncio
import os
import pickle
import signal
import struct
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from gpu_agent.bringing import brought
from gpu_agent.engines.counting import tokens_of
from gpu_agent.engines.engine import Engine, EngineAnswer, EngineRequest, Halved, Loaded, engine_named
from gpu_agent.engines.failures import frames_of, is_lost, narrowed, told_of
from gpu_agent.workloads.drive import checked, drive
from gpu_agent.workloads.load import Target
from gpu_agent.workloads.schedule import Planned
from gpu_agent.workloads.several import processes_for, several
from gpu_agent.workloads.timed import Timed
from infra.addresses import Askable
from infra.credentials import CREDENTIAL, key_of
from infra.engine_environments import runnable
from infra.hanging import LOOKS, Bringing, Doing
from infra.hub.brought import Brought
from infra.metrics import ENGINE, MODEL_LOAD, MODEL_LOADS
from infra.settings import of_process
from schemas.requests import EngineChoice, ModelRef, Workload
from streams.engines import KINDS, is_elsewhere, kind_of
from streams.errors import Invalid, Temporary

LENGTH = struct.Struct(">I")
HANGS = "load-hangs"
ENDS_S = 10.0  # a process that is killed ends in milliseconds
# OpenMP's threads sleep while they wait: on cores that others use too, spinning made torch up to five times slower.
# llama.cpp runs a debugger on its process before it ends it, unless it is told not to. vLLM tells at length what it does.
SURROUNDINGS = {"OMP_WAIT_POLICY": "PASSIVE", "GGML_NO_BACKTRACE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}

log_line = structlog.get_logger()


def _frame(value: object) -> bytes:
    body = pickle.dumps(value)
    return LENGTH.pack(len(body)) + body


@dataclass(frozen=True, slots=True)
class Drawn:
    """By what a load's requests are drawn: a seed, a mark that no other attempt's prompts begin with, and the number of the first."""

    seed: int
    mark: str
    first: int


class Engines:
    """At most one engine process with one model loaded; a new one is started when another model is wanted or it has died.

    `model_hang_s`, `load_hang_s`: how long a model's files may not answer, and its engine may do nothing while it loads.
    """

    def __init__(
        self, device: str, *, preload: str = "", home: Path = Path(".assay"), model_hang_s: float = 120.0, load_hang_s: float = 300.0
    ) -> None:
        self._device = device
        self._bringing = Bringing(hang_s=model_hang_s, error=Temporary)
        self._load_hang_s = load_hang_s
        self._left: dict[str, Process] = {}  # by the models over which they hang
        self._preload = preload if preload in KINDS else ""
        self._home = home
        self._runs: tuple[Path, tuple[str, ...]] | None = None
        self._process: Process | None = None
        self._held: tuple[ModelRef, EngineChoice] | None = None
        self._loaded: Loaded | None = None
        self._brought = Brought(ModelRef(uri=""))  # whose files are in use
        self._midway = False
        self._loads = 0

    @property
    def held(self) -> ModelRef | None:
        """The model that is loaded."""
        return self._held[0] if self._held else None

    async def start(self, engine: str | None = None) -> None:
        """Starts a new process, with no model: all that a workload against an address needs; for an engine in the environment that has it.

        Raises: Invalid where the engine is not installed.
        """
        await self.close()
        self._midway, self._loads = False, 0
        python, preload = (self._python(engine), engine) if engine else (Path(sys.executable), self._preload)
        self._hold(preload, python)
        self._process = await asyncio.create_subprocess_exec(
            python, "-m", "gpu_agent.runner", preload, stdin=PIPE, stdout=PIPE, env=SURROUNDINGS | os.environ | _found(python)
        )

    def _python(self, engine: str) -> Path:
        return runnable(engine, self._home)

    def _hold(self, engine: str, python: Path) -> None:
        """Remembers which libraries the process has, or will have."""
        self._runs = (python, KINDS[engine].packages) if engine in KINDS and KINDS[engine].packages else None

    def _serves(self, engine: str) -> bool:
        """Whether the process can load a model of the engine's: it is of the environment that the engine needs, has no libraries of
        another's, for not all bear each other, and has had none where it bears one alone."""
        if kind_of(engine).once and self._loads:
            return False
        if not kind_of(engine).packages:
            return True
        python = self._python(engine)
        if self._runs is None and python == Path(sys.executable):
            self._hold(engine, python)
        return self._runs == (python, kind_of(engine).packages)

    async def load(
        self, model: ModelRef, engine: EngineChoice, *, model_sha: str | None = None, credential: str | None = None
    ) -> tuple[Loaded, bool]:
        """What is loaded, and whether it was already. Another model takes the place of the one before; so do other weights of its name.

        `credential` names what is shown to a server elsewhere, to whose engine it is one more option, or to the hub that has the model.

        Raises: Permanent, also where the model is not the one of `model_sha`; Temporary.
        """
        if not kind_of(engine.name).formats:
            own = {name: told for name, told in engine.options.items() if name != CREDENTIAL}  # no option names one that is another's
            engine = engine.model_copy(update={"options": own | ({CREDENTIAL: credential} if credential is not None else {})})
            return await self._load(model, engine, model_sha=model_sha)
        here = await brought(model, credential=credential, bringing=self._bringing)
        try:
            loaded, held = await self._load(here.model, engine, model_sha=model_sha)
        except BaseException:
            here.close()
            raise
        self._brought.close()
        self._brought = here
        return replace(loaded, download_ns=here.download_ns, origin=here.origin), held

    async def _load(self, model: ModelRef, engine: EngineChoice, *, model_sha: str | None) -> tuple[Loaded, bool]:
        """The model in an engine, once its files are here."""
        # Replies of a call that nobody read to its end would be taken for the next one's.
        alive = self._process is not None and self._process.returncode is None and not self._midway
        same = model_sha is None or (self._loaded is not None and self._loaded.model_sha in (None, model_sha))
        if alive and self._loaded and self._held == (model, engine) and same:
            MODEL_LOADS.labels("held").inc()
            return self._loaded, True
        self._held = self._loaded = None
        if (left := self._left.get(model.uri)) is not None and left.returncode is None:
            raise self._hangs(model.uri, engine.name)
        self._left.pop(model.uri, None)
        if not alive or not self._serves(engine.name):
            await self.start(engine.name)
        self._loads += 1
        with MODEL_LOAD.time(), MODEL_LOADS.labels("failed").count_exceptions():
            self._loaded = await self._getting_on(self._read(model, engine, model_sha), model.uri, engine.name)
            self._held = (model, engine)
        MODEL_LOADS.labels("loaded").inc()
        return self._loaded, False

    async def _read(self, model: ModelRef, engine: EngineChoice, model_sha: str | None) -> Loaded:
        (loaded,) = [reply async for reply in self._call("load", model, engine, self._device, model_sha)]
        assert isinstance(loaded, Loaded)
        return loaded

    async def _getting_on(self, loading: Coroutine[Any, Any, Loaded], uri: str, engine: str) -> Loaded:
        """What loading gives, while the engine's process does something. One that hangs is ended, or left behind where it cannot be.

        Raises: Temporary, where it hangs; whatever loading raises.
        """
        task, process = asyncio.ensure_future(loading), self._process
        # A server's time is limited where it is asked.
        every_s = self._load_hang_s / LOOKS
        doing = None if process is None or is_elsewhere(engine) else Doing(process.pid, every_s)
        try:
            while not (await asyncio.wait([task], timeout=every_s if doing else None))[0]:
                if process and doing and doing.idle_s() > self._load_hang_s:
                    self._left[uri] = process
                    raise self._hangs(uri, engine)
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await self.close()

    def _hangs(self, uri: str, engine: str) -> Temporary:
        return Temporary(
            f"engine {engine} has done nothing for {self._load_hang_s:g} s while it loaded {uri} (ASSAY_LOAD_HANG_S): look after the "
            "disk or file system that it lies on, or copy the model to a disk of this machine", code=HANGS,
        )  # fmt: skip

    async def answer(self, requests: Sequence[EngineRequest]) -> AsyncIterator[EngineAnswer | Halved]:
        """Answers as they come. Raises: Permanent, Temporary (also where the process died)."""
        async for reply in self._call("answer", list(requests)):
            yield reply

    async def measure(
        self, workload: Workload, *, model: ModelRef, seed: int, mark: str, first: int = 0, credential: str | None = None
    ) -> AsyncIterator[Timed]:
        """A workload's requests as they end, numbered from `first`. `mark`: what no other attempt's prompts begin with.

        Raises: Permanent, Temporary.
        """
        async for reply in self._call("measure", workload, model, Drawn(seed, mark, first), credential):
            yield reply

    @property
    def pid(self) -> int | None:
        """The engine's process."""
        return self._process.pid if self._process else None

    async def _call(self, *call: object) -> AsyncIterator[Any]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise Temporary("no engine process", code="engine-died")
        ENGINE.state("loading" if call[0] == "load" else "working")
        self._midway = True
        try:
            process.stdin.write(_frame(call))
            await process.stdin.drain()
            while True:
                (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
                kind, value = pickle.loads(await process.stdout.readexactly(length))  # noqa: S301  # from our own child
                self._midway = kind == "value"
                if kind == "end":
                    return
                if kind == "lost":
                    await self.close()
                if kind != "value":
                    raise value
                yield value
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            code = await process.wait()
            await self.close()
            raise Temporary(f"the engine's process {_ended(code)} in the middle of its work", code="engine-died") from error
        finally:
            ENGINE.state("idle" if self._process else "none")

    async def close(self) -> None:
        """Ends the process, whatever it is doing."""
        process, self._process, self._held, self._loaded = self._process, None, None, None
        self._brought.close()
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        try:
            async with asyncio.timeout(ENDS_S):
                await process.communicate()
        except TimeoutError:  # it waits for a disk, which nothing can end; it ends when that answers
            log_line.warning("an engine's process does not end", pid=process.pid, after_s=ENDS_S)


def _found(python: Path) -> dict[str, str]:
    """What lets the python of another environment find our code, which is not installed there."""
    if python == Path(sys.executable):
        return {}
    ours = str(Path(__file__).parents[1])
    return {"PYTHONPATH": os.pathsep.join(filter(None, [ours, os.environ.get("PYTHONPATH", "")]))}


def _ended(code: int) -> str:
    """How a process ended; a kernel that lacks memory kills."""
    if code == -signal.SIGKILL:
        return "was killed, as the system does where memory runs out,"
    return f"ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"


def _serve(calls: BinaryIO, replies: BinaryIO) -> None:
    """Answers calls until there are no more, or the device is lost."""
    server = _Server()
    while head := calls.read(LENGTH.size):
        name, *arguments = pickle.loads(calls.read(LENGTH.unpack(head)[0]))  # noqa: S301  # from our own parent
        try:
            for value in getattr(server, name)(*arguments):
                replies.write(_frame(("value", value)))
                replies.flush()
            replies.write(_frame(("end", None)))
        except (Exception, SystemExit) as error:  # noqa: BLE001  an engine's libraries are code of others: what they raise is a reply
            frames_of(error)
            replies.write(_frame(("lost" if is_lost(error) else "error", told_of(error))))
            if is_lost(error):
                return
        replies.flush()


class _Server:
    """The calls: each yields its replies."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def load(self, model: ModelRef, choice: EngineChoice, device: str, model_sha: str | None) -> Iterator[Loaded]:
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        engine = engine_named(choice.name)
        loaded = engine.load(model, options=choice.options, device=device)
        if model_sha is not None and loaded.model_sha not in (None, model_sha):
            engine.close()
            raise Invalid(
                f"{model.uri} is not the model that was submitted: its hash is {loaded.model_sha}, the plan's {model_sha}; submit it again",
                code="model-changed",
            )
        self._engine = engine
        yield loaded

    def answer(self, requests: Sequence[EngineRequest]) -> Iterator[EngineAnswer | Halved]:
        for reply in narrowed(self._ready.answer, requests):
            if isinstance(reply, EngineAnswer) and reply.ended_ns is None:
                yield replace(reply, ended_ns=time.perf_counter_ns())
            else:
                yield reply

    @property
    def _ready(self) -> Engine:
        if self._engine is None:
            raise Temporary("no model is loaded", code="engine-died")
        return self._engine

    def measure(self, workload: Workload, model: ModelRef, drawn: Drawn, credential: str | None) -> Iterator[Timed]:
        if workload.url is None:
            return checked(drive(workload, self._stream, seed=drawn.seed, first=drawn.first))
        asks = Askable.of()
        asks.check(workload.url)
        key = key_of(credential, workload.url)
        target = Target(model.uri, drawn.mark if workload.fresh_prompts else "", tokens_of=tokens_of(model.uri), key=key, asks=asks)
        processes = processes_for(workload, cores=len(os.sched_getaffinity(0)), asked=of_process().load_processes)
        return checked(several(workload, target, seed=drawn.seed, first=drawn.first, processes=processes))

    def _stream(self, planned: Planned) -> Iterator[int]:
        return self._ready.stream(input_tokens=planned.input_tokens, output_tokens=planned.output_tokens, seed=planned.seed)


def main() -> None:
    """Serves until its input ends. What a library prints goes to standard error, never among the replies."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if sys.argv[1:] and sys.argv[1] in KINDS:
        engine_named(sys.argv[1])
    _serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
