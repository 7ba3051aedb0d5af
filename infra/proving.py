"""How a process proves itself to a store and knows that it is the one: a password of a file or a setting, and TLS, named alike for each."""

import ssl
from pathlib import Path
from typing import Literal

from infra.settings import Settings
from streams.errors import Invalid

Store = Literal["kafka", "registry", "clickhouse"]


def password_of(store: Store, settings: Settings) -> str:
    """The password: that of its file first, without the end of its line; empty where none is set. Raises: Invalid for a bad file."""
    path: Path | None = getattr(settings, f"{store}_password_file")
    if path is None:
        told: str = getattr(settings, f"{store}_password").get_secret_value()
        return told
    try:
        return path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise unusable(path, f"ASSAY_{store.upper()}_PASSWORD_FILE", error, store=store) from error


def context_of(store: Store, settings: Settings) -> ssl.SSLContext:
    """TLS to a store, whose certificate who is named signed, or the system's list knows. Raises: Invalid where the file does not do."""
    ca: Path | None = getattr(settings, f"{store}_ca")
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        raise unusable(ca, f"ASSAY_{store.upper()}_CA", error, store=store) from error


def unusable(path: Path | None, variable: str, error: Exception, *, store: Store) -> Invalid:
    """What to do about a file that a variable names."""
    return Invalid(
        f"{variable}={path} cannot be used ({error}); name a file that is there, may be read, and holds what the setting says",
        code=f"{store}-settings",
    )
