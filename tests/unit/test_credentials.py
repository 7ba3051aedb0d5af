"""Keys of servers elsewhere, and whose they are."""

from pathlib import Path

import pytest

from infra.credentials import key_of, owned
from streams.errors import Invalid


def test_a_key_is_its_organisations_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One in the folder is the agent's own organisation's; another's is below its name; nobody reaches another's by how they name it."""
    monkeypatch.setenv("ASSAY_CREDENTIALS", str(tmp_path))
    monkeypatch.setenv("ASSAY_ORGANISATION", "ours")
    (tmp_path / "acme").mkdir()
    (tmp_path / "mine").write_text("https://host\nsk-ours\n")
    (tmp_path / "acme" / "mine").write_text("https://host\nsk-acme\n")
    (tmp_path / "acme" / "theirs").write_text("https://host\nsk-acme-2\n")
    assert [key_of(owned("mine", one), "https://host") for one in ("ours", "acme")] == ["sk-ours", "sk-acme"]
    assert owned(None, "acme") is None and owned("mine", "ours") == "mine"
    for name, organisation in (("theirs", "ours"), ("acme/mine", "ours"), ("acme/mine", "evil"), ("mine", "evil"), ("../mine", "acme"),
                               ("mine", ".."), ("mine", ""), ("mine", "a/b"), ("acme", "ours")):  # fmt: skip
        with pytest.raises(Invalid, match="no credential") as refused:
            key_of(owned(name, organisation), "https://host")
        assert "sk-" not in str(refused.value)
