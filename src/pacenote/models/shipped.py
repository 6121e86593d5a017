"""Models that come with Pacenote: a name instead of a path."""

from __future__ import annotations

from pathlib import Path

from pacenote.errors import InputError

ROOT = Path(__file__).resolve().parent.parent / "shipped"


def names(root: Path = ROOT) -> list[str]:
    """The shipped models that are present: directories with a `config.json`."""
    return sorted(path.parent.name for path in root.glob("*/config.json"))


def resolve(name: str | Path, root: Path = ROOT) -> str:
    """Where a model is: an existing directory, else the directory of a shipped name, else `name` as a hub id.

    Raises InputError for something that can be none of these, naming the nearest shipped name.
    """
    text = str(name)
    path = Path(text).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise InputError(f"{path}: no config.json in it, so it is no model; give the directory that training wrote")
        return str(path)
    shipped = names(root)
    if text in shipped:
        return str(root / text)
    if text.count("/") == 1 and not text.startswith((".", "/", "~")) and all(text.split("/")):
        return text
    import difflib

    near = difflib.get_close_matches(text, shipped, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"shipped models: {', '.join(shipped) or 'none'}"
    raise InputError(f"{text}: neither a model directory, nor a shipped model, nor a hub id (owner/name); {hint}")
