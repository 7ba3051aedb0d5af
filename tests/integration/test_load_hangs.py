"""An engine that hangs as it loads: its attempt fails in time and in words, and the agent is free, whether or not its process ends."""

import asyncio
import os
import time
from pathlib import Path

import psutil
import pytest

from gpu_agent import runner
from gpu_agent.runner import Engines
from infra.hanging import Doing
from schemas.jobs import JobChanged
from schemas.requests import EngineChoice, Workload
from tests.attempts import attempted
from tests.stuck_disk import stuck

pytestmark = pytest.mark.integration
HANG_S = 4.0
SAYS = "engine echo has done nothing for 4 s while it loaded m (ASSAY_LOAD_HANG_S): look after the disk or file system that it lies on, or"


async def reported(engines: Engines, options: dict[str, str], *, model: str = "m") -> list[JobChanged]:
    """What an agent reports of a load on the fake engine with these options."""
    workload, engine = Workload(requests=2, input_tokens=4, output_tokens=2), EngineChoice(name="echo", options=options)
    found = await attempted(workload, model, engine=engine, engines=engines)
    return sorted((one for one in found if isinstance(one, JobChanged)), key=lambda one: one.sequence)


def test_an_engine_that_hangs_is_told_and_the_agent_is_free() -> None:
    """For another attempt, maybe elsewhere: it may end otherwise there. The process is gone."""

    async def act() -> None:
        engines = Engines("cpu", load_hang_s=HANG_S)
        try:
            began = time.monotonic()
            last = (await reported(engines, {"fail": "hang"}))[-1]
            assert last.error is not None
            assert (last.state, last.error.code, last.error.permanent) == ("failed", "load-hangs", False)
            assert last.error.message.startswith(SAYS)
            assert time.monotonic() - began > HANG_S
            assert engines.pid is None
            assert (await reported(engines, {}))[-1].state == "finished"
        finally:
            await engines.close()

    asyncio.run(act())


def test_a_disk_that_never_answers_leaves_the_agent_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process cannot be killed; it is left behind, and as long as it is there that model is refused at once."""
    monkeypatch.setattr(runner, "ENDS_S", 1.0)
    folder = tmp_path / "mounted"
    folder.mkdir()

    async def act(file: Path) -> None:
        engines = Engines("cpu", load_hang_s=HANG_S)
        try:
            await engines.start("echo")
            process = psutil.Process(engines.pid)
            last = (await reported(engines, {"answers": str(file)}))[-1]
            assert last.error is not None
            assert (last.error.code, last.error.message[: len(SAYS)]) == ("load-hangs", SAYS)
            assert process.status() == psutil.STATUS_DISK_SLEEP
            assert (await reported(engines, {}, model="other"))[-1].state == "finished"
            pid = engines.pid
            assert (await reported(engines, {"answers": str(file)}))[-1].error == last.error
            assert engines.pid == pid is not None  # it was refused at once: what had hung over it would be gone
        finally:
            await engines.close()

    try:
        with stuck(folder) as file:
            asyncio.run(act(file))
    except OSError as error:
        pytest.skip(f"no file system of ours can be mounted here: {error}")


@pytest.mark.slow
def test_what_a_process_does_is_seen_and_what_only_wakes_is_not() -> None:
    """By its processor time, its children's too."""

    async def idle(code: str, *, for_s: float) -> float:
        process = await asyncio.create_subprocess_exec("python3", "-c", code)
        doing = Doing(process.pid, every_s=0.1)
        until = time.monotonic() + for_s
        found = 0.0
        while time.monotonic() < until:
            await asyncio.sleep(0.1)
            found = doing.idle_s()
        process.kill()
        await process.wait()
        return found

    busy = "import subprocess; subprocess.run(['timeout', '30', 'python3', '-c', 'while True: pass'])"
    assert asyncio.run(idle(busy, for_s=8)) < 6
    assert asyncio.run(idle("import time\nwhile True: time.sleep(0.5)", for_s=8)) > 2
    assert Doing(os.getpid(), every_s=0.1).idle_s() < 1
