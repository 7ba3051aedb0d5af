"""How the registry is asked, and who may ask ours."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.embedded.registry import app, guarded
from infra.registry import Registry
from infra.settings import Settings
from streams.errors import Invalid, Unavailable

USER: dict[str, Any] = {"registry": "http://registry", "registry_user": "assay", "registry_password": "right"}


def answered(path: str, *, user: tuple[str, str] | None = None, settings: Settings | None = None) -> int:
    """How our registry answers."""

    async def act() -> int:
        served = httpx.ASGITransport(guarded(settings or Settings.model_validate(USER)))
        async with httpx.AsyncClient(transport=served, base_url="http://registry", auth=user) as client:
            return (await client.get(path)).status_code

    return asyncio.run(act())


def test_ours_wants_its_user_where_one_is_set() -> None:
    """Whether it is there is told to anybody; without a user all is."""
    assert [answered(path) for path in ("/", "/subjects", "/schemas/ids/1", "/config")] == [200, 401, 401, 401]
    assert [answered("/subjects", user=user) for user in (("assay", "right"), ("assay", "wrong"), ("other", "right"))] == [200, 401, 401]
    assert guarded(Settings()) is app and answered("/subjects", settings=Settings()) == 200
    with pytest.raises(Invalid, match="has no password"):
        guarded(Settings(registry_user="assay"))


def asked(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The first schema, as a process with these settings is told it by our registry, which knows all."""
    server, client = httpx.ASGITransport(guarded(Settings.model_validate(USER))), httpx.AsyncClient
    monkeypatch.setattr(httpx, "AsyncClient", lambda **told: client(**(told | {"transport": server})))

    async def act() -> dict[str, Any]:
        registry = Registry(Settings.model_validate(given))
        try:
            await registry.codec()
            return await registry.schema(1)
        finally:
            await registry.close()

    return asyncio.run(act())


def test_a_process_shows_its_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the password of the file first; one that is wrong is told by which setting, and never with it."""
    (tmp_path / "password").write_text("right\n")
    assert asked(USER | {"registry_password": "wrong", "registry_password_file": tmp_path / "password"}, monkeypatch)["type"] == "record"
    for given in (USER | {"registry_password": "mistaken"}, {"registry": "http://registry"}):
        with pytest.raises(Unavailable, match="does not know this process: set ASSAY_REGISTRY_USER") as refused:
            asked(given, monkeypatch)
        assert "mistaken" not in str(refused.value)


def test_what_its_settings_lack_is_named() -> None:
    """Before anything is asked."""
    with pytest.raises(Invalid, match="ASSAY_REGISTRY_CA=/no/such cannot be used"):
        Registry(Settings(registry="https://registry", registry_ca=Path("/no/such")))
    with pytest.raises(Invalid, match="ASSAY_REGISTRY_PASSWORD_FILE=/no/such cannot be used"):
        Registry(Settings(registry_user="assay", registry_password_file=Path("/no/such")))
