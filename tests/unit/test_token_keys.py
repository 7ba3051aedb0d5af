"""Keys on a PKCS#11 token: they seal as others do and never leave it; a chain goes on with one that was endorsed; what is none is told."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra import seal_keys
from infra.settings import Settings
from infra.token_keys import attributes, token_key
from streams.errors import Conflict, Invalid, Unavailable
from streams.trust.chains import Chains
from streams.trust.statements import endorses, genuine, key_id, raw
from tests.runs import run_named
from tests.sealed import key_of, link_of

UTIL = shutil.which("softhsm2-util")
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so")
MODULE = os.environ.get("SOFTHSM2_MODULE") or next((one for one in MODULES if Path(one).exists()), "")
PIN = "5678"
EDWARDS25519 = b"\x13\x0cedwards25519"  # the curve by its name. Source: PKCS #11 Specification 3.1, 6.3.10


def settings_of(home: Path, told: str) -> Settings:
    """Settings with that key."""
    return Settings.model_validate({"home": home, "seal_key": told})


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """What gives the URI of a key on a token of SoftHSM, which has two: `old` and `new`."""
    pkcs11 = pytest.importorskip("pkcs11")
    if not UTIL or not MODULE:
        pytest.skip("no SoftHSM is installed here")
    home = tmp_path_factory.mktemp("token")
    (home / "tokens").mkdir()
    (home / "softhsm2.conf").write_text(f"directories.tokendir = {home / 'tokens'}\nobjectstore.backend = file\n")
    (home / "pin").write_text(f"{PIN}\n")
    before, os.environ["SOFTHSM2_CONF"] = os.environ.get("SOFTHSM2_CONF"), str(home / "softhsm2.conf")
    made = [UTIL, "--module", MODULE, "--init-token", "--free", "--label", "assay", "--so-pin", "1234", "--pin", PIN]
    subprocess.run(made, check=True, capture_output=True)
    with pkcs11.lib(MODULE).get_token(token_label="assay").open(user_pin=PIN, rw=True) as session:
        curve = {pkcs11.Attribute.EC_PARAMS: EDWARDS25519}
        for name in ("old", "new"):
            session.create_domain_parameters(pkcs11.KeyType.EC_EDWARDS, curve, local=True).generate_keypair(
                mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN, store=True, label=name
            )

    def uri(name: str = "old", *, pin: str = "", label: str = "assay") -> str:
        how = f"pin-value={pin}" if pin else f"pin-source=file:{home / 'pin'}"
        return f"pkcs11:token={label};object={name}?module-path={MODULE}&{how}"

    yield uri
    token_key.cache_clear()
    os.environ.pop("SOFTHSM2_CONF") if before is None else os.environ.update(SOFTHSM2_CONF=before)


def test_what_is_not_on_the_token_is_told_without_its_pin(token: Callable[..., str], tmp_path: Path) -> None:
    """Another key, another token, a wrong PIN; a token whose library is not there is waited for."""
    for told in (token(pin="87654321"), token(label="other"), token("none")):
        with pytest.raises(Invalid, match="names no one Ed25519 key") as caught:
            seal_keys.keys_of(settings_of(tmp_path, told))
        assert "87654321" not in str(caught.value)
    with pytest.raises(Unavailable, match=r"cannot be opened by /none\.so"):
        seal_keys.keys_of(settings_of(tmp_path, "pkcs11:object=old?module-path=/none.so"))


def test_a_key_on_a_token_seals(token: Callable[..., str], tmp_path: Path) -> None:
    """What it signs holds by its public half, as of any other key."""
    key = seal_keys.signing(seal_keys.keys_of(settings_of(tmp_path, token())))
    assert key is not None and key.private is not None and key.active
    seal = link_of(Chains(), run_named("r"), key.private)
    assert genuine(seal) and seal.key_id == key_id(raw(key.private))
    assert not genuine(seal.model_copy(update={"events": 2}))


def test_a_chain_goes_on_with_a_key_on_a_token_that_was_endorsed(token: Callable[..., str], tmp_path: Path) -> None:
    """From a file to a token, and from that key to another one of it."""
    first = seal_keys.create(Settings(home=tmp_path))
    public = raw(token_key(token("old")))
    seal_keys.endorse(Settings(home=tmp_path), public)
    second = seal_keys.signing(seal_keys.keys_of(settings_of(tmp_path, token("old"))))
    assert second is not None and second.endorsement is not None and endorses(public, second.endorsement, by=first.public)
    with pytest.raises(Conflict, match="is the one that signs"):
        seal_keys.endorse(settings_of(tmp_path, token("old")), public)
    with pytest.raises(Conflict, match="assay keys endorse"):
        seal_keys.rotate(settings_of(tmp_path, token("old")))
    seal_keys.endorse(settings_of(tmp_path, token("old")), raw(token_key(token("new"))))
    third = seal_keys.signing(seal_keys.keys_of(settings_of(tmp_path, token("new"))))
    assert third is not None and third.endorsement is not None and endorses(third.public, third.endorsement, by=public)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("pkcs11:token=a?module-path=/x.so", "needs object= or id="),
        ("pkcs11:object=a", "module-path="),
        ("pkcs11:objekt=a?module-path=/x.so", "'objekt' is no part"),
        ("pkcs11:object=a;object=b?module-path=/x.so", "there twice"),
        ("pkcs11:object=a?module-path=/x.so&pin=1", "'pin' is no part"),
    ],
)
def test_a_uri_that_names_no_key_is_told(uri: str, says: str) -> None:
    """With what is missing."""
    with pytest.raises(Invalid, match=says):
        attributes(uri)


def test_a_uri_is_read_as_rfc_7512_has_it() -> None:
    """Its escapes too; an id is bytes."""
    told = attributes("pkcs11:token=My%20Token;object=seal;id=%01%ff?module-path=/x.so&pin-source=file:/run/pin")
    assert told == {"token": "My Token", "object": "seal", "id": "\x01\xff", "module-path": "/x.so", "pin-source": "file:/run/pin"}
    assert key_of(1).public_key().public_bytes_raw() == raw(key_of(1))
