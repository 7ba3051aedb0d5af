"""How a process proves itself to a store and knows that it is the one: a password of a file or a setting, and TLS, named alike for each.

Every secret that a process of containers is told can be told by a file: an environment is read by more than its process.
"""

import ssl
from pathlib import Path
from typing import Literal

from infra.settings import Settings
from streams.errors import Invalid

Store = Literal["kafka", "registry", "clickhouse"]


def password_of(store: Store, settings: Settings) -> str:
    """The password; empty where none is set. Raises: Invalid for a bad file."""
    return secret_of(f"{store}_password", settings, code=f"{store}-settings")


def secret_of(name: str, settings: Settings, *, code: str) -> str:
    """The secret of that setting: that of its file first, without the end of its line; empty where none is set. Raises: Invalid."""
    path: Path | None = getattr(settings, f"{name}_file")
    if path is None:
        told: str = getattr(settings, name).get_secret_value()
        return told
    try:
        return path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise unusable(path, f"ASSAY_{name.upper()}_FILE", error, code=code) from error


def context_of(store: Store, settings: Settings) -> ssl.SSLContext:
    """TLS to a store, whose certificate who is named signed, or the system's list knows. Raises: Invalid where the file does not do."""
    ca: Path | None = getattr(settings, f"{store}_ca")
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        raise unusable(ca, f"ASSAY_{store.upper()}_CA", error, code=f"{store}-settings") from error


def unusable(path: Path | None, variable: str, error: Exception, *, code: str) -> Invalid:
    """What to do about a file that a variable names."""
    return Invalid(
        f"{variable}={path} cannot be used ({error}); name a file that is there, may be read, and holds what the setting says",
        code=code,
    )
