"""The keys that seal runs: files that only their owner reads, a new one endorsed by the old, and what is none refused."""

import errno
import os
import re
from pathlib import Path
from typing import Final

import pytest
from assay_verify import public_key
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from infra.seal_keys import create, folder_of, keys_of, rotate, signing
from infra.settings import Settings
from streams.errors import Conflict, Invalid, NotFound
from streams.trust.statements import endorses
from tests.sealed import key_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a home without keys."""
    return Settings(home=tmp_path)


def pem_of(number: int) -> str:
    """A private key as a file has it."""
    return key_of(number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_a_key_is_made_once_and_nobody_else_may_read_it(settings: Settings) -> None:
    """Its file is 0600 in a folder of 0700; its public half is a file that verifiers take."""
    assert keys_of(settings) == [] and signing([]) is None
    key = create(settings)
    folder = folder_of(settings)
    assert [(folder / f"{key.key_id}.pem").stat().st_mode & 0o777, folder.stat().st_mode & 0o777] == [0o600, 0o700]
    (found,) = keys_of(settings)
    assert (found.public, found.active, found.endorsement) == (key.public, True, None)
    assert public_key(str(folder / f"{key.key_id}.pub")) == key.public
    with pytest.raises(Conflict, match="assay keys rotate"):
        create(settings)


def test_a_rotated_key_endorses_the_one_that_signs_now(settings: Settings) -> None:
    """The old one stays, to verify and to sign what is under way elsewhere."""
    with pytest.raises(NotFound, match="assay keys create"):
        rotate(settings)
    old = create(settings)
    new = rotate(settings)
    found = keys_of(settings)
    assert [(key.key_id, key.active) for key in found] == [(new.key_id, True), (old.key_id, False)]
    assert found[0].endorsement is not None and endorses(new.public, found[0].endorsement, by=old.public)


def test_a_lost_key_leaves_its_public_half(settings: Settings) -> None:
    """It signs no more; another may be made."""
    old = create(settings)
    (folder_of(settings) / f"{old.key_id}.pem").unlink()
    assert signing(keys_of(settings)) is None
    new = create(settings)
    assert [(key.key_id, key.private is not None) for key in keys_of(settings)] == [(new.key_id, True), (old.key_id, False)]
    assert new.endorsement is None


def test_a_key_of_the_environment_signs_before_those_of_the_folder(settings: Settings) -> None:
    """And is not rotated here; it is never shown."""
    create(settings)
    given = settings.model_copy(update={"seal_key": Settings.model_validate({"seal_key": pem_of(1)}).seal_key})
    key = signing(keys_of(given))
    assert key is not None and key.private is not None
    assert key.private.sign(b"x") == key_of(1).sign(b"x")
    assert [one.active for one in keys_of(given)] == [True, False]
    with pytest.raises(Conflict, match="ASSAY_SEAL_KEY"):
        rotate(given)
    assert "PRIVATE" not in repr(given) and "PRIVATE" not in str(given)


BAD: Final = (b"", b"zz", b"\xff\xfe", b"ab" * 63 + b"a", b"ab" * 8, b"AB" * 64)


@pytest.mark.parametrize(("name", "content"), [
    *((name, content) for name in ("endorsed", "active") for content in BAD),
    ("active", b"ab" * 64), ("endorsed", b"ab" * 16), ("pub", b""), ("pub", b"\xff"), ("pem", b""), ("pem", b"\xff"),
])  # fmt: skip
def test_a_file_that_was_damaged_is_told_by_its_name(settings: Settings, name: str, content: bytes) -> None:
    """Cut off in the midst, other letters, none; `assay keys` and the sealer say so."""
    create(settings)
    key = rotate(settings)
    path = folder_of(settings) / (name if name == "active" else f"{key.key_id}.{name}")
    path.write_bytes(content)
    with pytest.raises(Invalid, match=re.escape(f"{path} holds no ")):
        keys_of(settings)


def test_a_file_that_cannot_be_read_is_told_by_its_name(settings: Settings) -> None:
    """As one that is a folder."""
    create(settings)
    for path in list(folder_of(settings).iterdir()):
        kept = path.read_bytes()
        path.unlink()
        path.mkdir()
        with pytest.raises(Invalid, match=re.escape(f"{path} cannot be read (Is a directory)")):
            keys_of(settings)
        path.rmdir()
        path.write_bytes(kept)
    assert signing(keys_of(settings)) is not None


def test_a_write_that_fails_leaves_the_key_that_signed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it fails, as on a full disk: nothing half lies there, and the same key signs."""
    old, real, room = create(settings), os.fsync, [0]

    def full(descriptor: int) -> None:
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    for written in range(7):  # four files, each with its folder; behind the last one it signs
        room[0] = written
        with pytest.raises(OSError, match="No space left"):
            rotate(settings)
        signs = signing(keys_of(settings))
        assert signs is not None and signs.key_id == old.key_id
        assert not list(folder_of(settings).glob(".*"))


@pytest.mark.parametrize(
    "content", ["", "no key", X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()]
)
def test_what_holds_no_such_key_is_told_with_its_place(settings: Settings, content: str) -> None:
    """A private file, a public one, the setting."""
    key = create(settings)
    private = folder_of(settings) / f"{key.key_id}.pem"
    private.write_text(content)
    with pytest.raises(Invalid, match=key.key_id):
        keys_of(settings)
    private.write_text(pem_of(2))
    with pytest.raises(Invalid, match="not the private half"):
        keys_of(settings)
    private.unlink()
    (folder_of(settings) / "x.pub").write_bytes(
        X25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(Invalid, match=r"x\.pub holds no Ed25519 key"):
        keys_of(settings)
    if content:
        with pytest.raises(Invalid, match="ASSAY_SEAL_KEY"):
            keys_of(
                Settings(home=settings.home / "other").model_copy(
                    update={"seal_key": Settings.model_validate({"seal_key": content}).seal_key}
                )
            )
