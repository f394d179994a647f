"""The ready policies as they ship in the package; copies of policies/, made by `python docs/make_reference.py`."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent
READY = tuple(sorted(path.stem for path in _HERE.glob("*.yaml")))
"""Their names, for `extends: balanced` and `--policy balanced`."""


def ready_policy(name: str) -> Path | None:
    """Return the file of a ready policy; None where there is none of that name."""
    return _HERE / f"{name}.yaml" if name in READY else None
