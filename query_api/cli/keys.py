"""The keys that seal runs, on the command line: list, create, rotate, show. They are files of this machine (infra/seal_keys.py)."""

from typing import Annotated, Any

import typer

from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.options import AsJson
from streams.errors import Invalid, NotFound

WhichKey = Annotated[str | None, typer.Argument(help="the key's id, or its beginning; the one that signs, where none is named")]


def keys(context: typer.Context) -> None:
    """The keys that seal runs: list them, create one, rotate it, show a public key; and those of private texts. Alone it lists the first.

    Examples: `assay keys` · `assay keys show` · `assay keys rotate` · `assay keys texts` · `assay keys rewrap`
    """
    if context.invoked_subcommand is None:
        listed()


def listed(as_json: AsJson = False) -> None:
    """Lists the keys that are here, the one that signs first.

    Examples: `assay keys list` · `assay keys list --json`
    """
    from infra.seal_keys import folder_of, keys_of

    settings = Settings()
    told = [_document(key) for key in keys_of(settings)]
    if as_json:
        showing.document({"keys": told})
        return
    if not told:
        showing.say(f"no key in {folder_of(settings)}; the sealer makes one when it starts, or `assay keys create`")
        return
    showing.table(
        ["run", "use", "private key", "endorsed"], [(k["key_id"], _use(k), _yes(k["private"]), _yes(k["endorsed"])) for k in told]
    )


def create(as_json: AsJson = False) -> None:
    """Makes a key: the first one, or one in the place of a lost one, whose chain of seals names the old.

    Example: `assay keys create`
    """
    from infra.seal_keys import create as created

    _made(created(Settings()), as_json)


def rotate(as_json: AsJson = False) -> None:
    """Puts a new key in the place of the one that signs, which endorses it: who trusts the old key can verify what the new one seals.

    Example: `assay keys rotate`
    """
    from infra.seal_keys import rotate as rotated

    _made(rotated(Settings()), as_json)


def endorse(
    key: Annotated[str, typer.Argument(help="the public key: 64 hex digits, or a PEM file")],
    as_json: AsJson = False,
) -> None:
    """Has the key that signs endorse one that was made elsewhere, as on a token: who trusts the old one can verify what that seals.

    Then put it into ASSAY_SEAL_KEY, and start the sealer anew. Example: `assay keys endorse new.pub`
    """
    import assay_verify

    from infra.seal_keys import endorse as endorsed

    try:
        public = assay_verify.public_key(key)
    except ValueError as error:
        raise Invalid(f"{key}: {error}", code="key") from error
    told = endorsed(Settings(), public)
    showing.document(_document(told)) if as_json else showing.say(f"key {told.key_id} is endorsed")


def show(which: WhichKey = None, as_json: AsJson = False) -> None:
    """Shows a public key, as `assay verify --key` takes it: 64 hex digits, and a PEM file.

    Examples: `assay keys show` · `assay keys show 3f2a --json`
    """
    from infra.seal_keys import folder_of, keys_of

    settings = Settings()
    every = keys_of(settings)
    fitting = [key for key in every if key.key_id.startswith(which)] if which else [key for key in every if key.active]
    if len(fitting) != 1:
        what = f"{len(fitting)} keys that begin with {which!r}" if which else "no key that signs"
        raise NotFound(f"{what} in {folder_of(settings)}; `assay keys list` shows what is there", code="unknown-key")
    if as_json:
        showing.document(_document(fitting[0]) | {"pem": fitting[0].pem})
        return
    typer.echo(f"{fitting[0].public.hex()}\n{fitting[0].pem}", nl=False)


def _made(key: Any, as_json: bool) -> None:
    showing.document(_document(key)) if as_json else showing.say(f"key {key.key_id} signs from now on")


def _document(key: Any) -> dict[str, Any]:
    return {"key_id": key.key_id, "public_key": key.public.hex(), "active": key.active, "private": key.private is not None,
            "endorsed": key.endorsement is not None}  # fmt: skip


def _use(told: dict[str, Any]) -> str:
    if not told["active"]:
        return "verifies what it signed"
    return "signs" if told["private"] else "its private key is gone"


def _yes(value: bool) -> str | None:
    return "here" if value else None
