"""`python -m infra.describe` writes what is derived from the settings: docs/settings.md and .env.example."""

from pathlib import Path
from typing import Any

from infra.settings import Settings

HEAD = """# Settings

Every setting is an environment variable, read once at a process's start.

| variable | default | what it is |
| --- | --- | --- |"""
ROOT = Path(__file__).parents[1]


def shown(value: Any) -> str:
    return "" if value is None else str(value)


def settings_page() -> str:
    """The settings as a table."""
    rows = [f"| `ASSAY_{n.upper()}` | `{shown(i.default)}` | {i.description} |" for n, i in Settings.model_fields.items()]
    return "\n".join([HEAD, *rows, ""])


def example() -> str:
    """An environment file with every setting at its default, commented out."""
    rows = [f"# {info.description}\n# ASSAY_{name.upper()}={shown(info.default)}\n" for name, info in Settings.model_fields.items()]
    return "\n".join(rows)


if __name__ == "__main__":
    (ROOT / "docs" / "settings.md").write_text(settings_page())
    (ROOT / ".env.example").write_text(example())
