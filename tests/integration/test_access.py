"""A query API that wants keys, on the real stack: who comes in, who may do what, in whose name, how often, and how it ends."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from infra.settings import Settings
from query_api.cli.options import ME
from query_api.routes import OPERATIONS
from streams.trust.access import ROLES, covers
from tests.conftest import environment
from tests.doors import assay, closed_api
from tests.flow import PATIENCE_S, get, post

pytestmark = [pytest.mark.integration, pytest.mark.slow]
Keys = dict[str, dict[str, Any]]
Opened = Callable[..., httpx.Client]
HTML = {"Accept": "text/html"}
TOLD_TO_ALL = ("/healthz", "/readyz")
RUN = {"model": {"uri": "asked-by-key"}, "engine": {"name": "echo"}, "tasks": [{"name": "assay_copy", "limit": 2}]}


@pytest.fixture(scope="module")
def door(flow: Settings) -> Iterator[Settings]:
    """Another API of the same stack, which wants keys."""
    with closed_api(flow) as settings:
        yield settings


@pytest.fixture(scope="module")
def keys(door: Settings) -> dict[str, dict[str, Any]]:
    """A key of each role; before, nobody comes in and is told what to do."""
    told = get(f"{door.api}/v1/runs")
    assert (told.status_code, told.headers["www-authenticate"]) == (401, 'Bearer realm="assay"')
    assert "there is none yet" in told.json()["detail"] and "assay access create" in told.json()["detail"]
    return {role: assay(door, "access", "create", "--member", f"{role}-ann", "--role", role) for role in ROLES}


@pytest.fixture
def opened(door: Settings) -> Iterator[Opened]:
    """What makes a client, without a key or with one, once the API knows it."""
    with ExitStack() as stack:

        def with_key(key: dict[str, Any] | None = None, **headers: str) -> httpx.Client:
            shown = {"Authorization": f"Bearer {key['key']}"} if key else {}
            found = stack.enter_context(httpx.Client(base_url=door.api, headers=shown | headers, timeout=60))
            give_up = time.monotonic() + PATIENCE_S
            while key and found.get("/v1/suites").status_code == 401 and time.monotonic() < give_up:
                time.sleep(0.3)
            return found

        yield with_key


def status(asker: httpx.Client, method: str, path: str) -> int:
    """What an operation answers; of a stream its beginning."""
    address = path.replace("{run_id}", "00000000-0000-7000-8000-000000000000").replace("{suite}", "none")
    address = address.replace("{recommendation_id}", "none").replace("{decision_id}", "none").replace("{prediction_id}", "none")
    with asker.stream(method, address, json={} if method != "GET" else None) as answer:
        return answer.status_code


def test_every_operation_opens_to_its_roles_and_to_nobody_else(door: Settings, keys: Keys, opened: Opened) -> None:
    """Without a key to nobody at all, but for what says that the process lives."""
    nobody = opened()
    callers = {role: opened(key) for role, key in keys.items()}
    for operation in OPERATIONS:
        without = status(nobody, operation.method, operation.path)
        assert (without == 200) if operation.path in TOLD_TO_ALL else (without in (401, 403)), operation
        for role in ROLES:
            told = status(callers[role], operation.method, operation.path)
            assert (told == 403) is not covers(role, operation.needs), (operation, role, told)
            assert told != 401
    assert nobody.get("/v1/runs", headers={"Authorization": "Basic YTpi"}).status_code == 401


def test_a_site_in_a_browser_does_not_get_at_an_api_without_keys(flow: Settings) -> None:
    """By its own name that it leads here, or by a form; programs and this site's own pages come in."""
    led = get(f"{flow.api}/v1/runs", headers={"Host": "evil.example:18000"})
    assert (led.status_code, "ASSAY_API_DOOR=closed" in led.json()["detail"]) == (403, True)
    foreign = {"Content-Type": "text/plain", "Origin": "https://evil.example"}
    assert post(f"{flow.api}/v1/evaluations", content=json.dumps(RUN), headers=foreign).status_code == 403
    own = {"Content-Type": "application/json", "Origin": flow.api}
    assert post(f"{flow.api}/v1/evaluations", content=json.dumps(RUN), headers=own).status_code == 202
    port = flow.api.rpartition(":")[2]
    assert get(f"{flow.api}/v1/runs", headers={"Host": f"localhost:{port}"}).status_code == 200


def test_nobody_acts_in_anothers_name(door: Settings, keys: Keys, opened: Opened) -> None:
    """A run is its key's member's, whatever the body says; the command line shows its key by ASSAY_API_KEY."""
    opened(keys["reader"])
    asked = opened(keys["submitter"]).post("/v1/evaluations", json=RUN | {"submitter": "mallory"})
    assert asked.status_code == 202, asked.text
    mine = door.model_copy(update={"api_key": Settings.model_validate({"api_key": keys["reader"]["key"]}).api_key})
    give_up = time.monotonic() + PATIENCE_S
    while (told := assay(mine, "run", asked.json()["run_id"]))["state"] != "completed":
        assert time.monotonic() < give_up
        time.sleep(0.5)
    assert told["submitter"] == "submitter-ann"


def test_a_browser_signs_in_and_out(door: Settings, keys: Keys, opened: Opened) -> None:
    """A page leads to the form and back; the cookie is no key, other sites cannot use it, and signing out ends it."""
    opened(keys["submitter"])
    browser = opened(None, **HTML)
    led = browser.get("/leaderboard?board=x")
    assert (led.status_code, led.headers["location"]) == (303, "/signin?next=%2Fleaderboard%3Fboard%3Dx")
    assert browser.get("/signin").status_code == 200
    form = {"key": keys["submitter"]["key"], "next": "/docs"}
    assert browser.post("/signin", data=form, headers={"Origin": "https://evil.example"}).status_code == 403
    wrong = browser.post("/signin", data=form | {"key": "assay_x"}, headers={"Origin": door.api})
    assert wrong.status_code == 401 and "opens nothing" in wrong.text
    signed = browser.post("/signin", data=form, headers={"Origin": door.api})
    assert (signed.status_code, signed.headers["location"]) == (303, "/docs")
    assert keys["submitter"]["key"].rpartition("_")[2] not in signed.headers["set-cookie"]
    page = browser.get("/docs")
    assert page.status_code == 200 and "submitter-ann" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert browser.post("/v1/evaluations", json=RUN, headers={"Origin": "https://evil.example"}).status_code == 403
    assert browser.post("/v1/evaluations", json=RUN).status_code == 403
    assert browser.post("/v1/evaluations", json=RUN, headers={"Origin": door.api}).status_code == 202
    assert browser.post("/signout", headers={"Origin": door.api}).headers["location"] == "/signin"
    assert browser.get("/docs").status_code == 303


def test_a_key_ends(door: Settings, keys: Keys, opened: Opened) -> None:
    """By being revoked, with what began by it; one that is rotated opens for a while more, and its follower at once."""
    gone = assay(door, "access", "create", "--member", "bob", "--quota", "1000")
    asker = opened(gone)
    assert asker.get("/v1/runs").status_code == 200
    follower = assay(door, "access", "rotate", gone["key_id"], "--overlap-hours", "1")
    assert opened(follower).get("/v1/runs").status_code == asker.get("/v1/runs").status_code == 200
    assay(door, "access", "revoke", gone["key_id"])
    give_up = time.monotonic() + PATIENCE_S
    while asker.get("/v1/runs").status_code != 401:
        assert time.monotonic() < give_up
        time.sleep(0.3)
    listed = {one["key_id"]: one for one in assay(door, "access", "list")["keys"]}
    assert (listed[gone["key_id"]]["by"], listed[gone["key_id"]]["last_used"] is None) == (ME, False)
    assert (listed[gone["key_id"]]["state"], listed[follower["key_id"]]["state"]) == ("revoked", "open")
    assert (listed[follower["key_id"]]["member"], listed[follower["key_id"]]["quota"]) == ("bob", 1000)


def test_privileged_acts_are_told_to_owners(door: Settings, keys: Keys, opened: Opened) -> None:
    """Who was let in and shut out, in the API and on a page, without a key's text or hash; others are told that it is for owners."""
    made = assay(door, "access", "create", "--member", "carol", "--role", "operator")
    assay(door, "access", "revoke", made["key_id"])
    owner, give_up = opened(keys["owner"], **HTML), time.monotonic() + PATIENCE_S
    while len(found := [one for one in owner.get("/v1/acts?kind=access").json()["acts"] if one["about"].startswith("carol")]) < 2:
        assert time.monotonic() < give_up
        time.sleep(0.3)
    assert [one["told"].split(" until")[0] for one in found] == [
        f"{made['key_id']} opens nothing any more", f"{made['key_id']} opens as operator",
    ]  # fmt: skip
    assert {one["by"] for one in found} == {ME}
    page = owner.get("/acts")
    assert page.status_code == 200 and "carol" in page.text and "opens as operator" in page.text
    assert made["key"].rpartition("_")[2] not in page.text and "scrypt" not in page.text
    for role in ("reader", "submitter", "operator"):
        asker = opened(keys[role], **HTML)
        assert [asker.get(path).status_code for path in ("/v1/acts", "/acts", "/fragments/acts")] == [403] * 3


def test_no_key_is_in_any_file(door: Settings, keys: Keys) -> None:
    """Neither its secret nor, outside the log, its hash."""
    secrets = [key["key"].rpartition("_")[2] for key in keys.values()]
    for path in (door.home / "logs").rglob("*"):
        if path.is_file():
            text = path.read_text(errors="replace")
            assert not any(secret in text for secret in secrets) and "scrypt$" not in text, path
    tail = subprocess.run([sys.executable, "-m", "query_api.cli.main", "tail", "access"], env=environment(door), capture_output=True,
                          text=True, timeout=PATIENCE_S, check=True)  # fmt: skip
    assert "reader-ann" in tail.stdout and "scrypt$" not in tail.stdout


def test_who_asks_too_often_waits(door: Settings, keys: Keys, opened: Opened) -> None:
    """A key by its quota; an address after twenty wrong keys, whatever it shows then."""
    few = opened(assay(door, "access", "create", "--member", "eager", "--quota", "3"))
    for _ in range(20):  # what it may ask is by the minute, of which another may begin meanwhile
        if (answer := few.get("/v1/runs")).status_code == 429:
            break
    assert answer.status_code == 429 and 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.json()["code"] == "too-often"
    right = opened(keys["owner"])
    bad = {"Authorization": "Bearer " + keys["reader"]["key"][:-4] + "AAAA"}
    told = [get(f"{door.api}/v1/runs", headers=bad).status_code for _ in range(25)]
    assert set(told) == {401, 429} and told[-1] == 429
    assert right.get("/v1/runs").status_code == 200, "who is known is not shut out by what others at the address show"
    assert get(f"{door.api}/readyz").status_code == 200
