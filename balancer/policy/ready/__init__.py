"""The ready policies as they ship in the package; copies of policies/, made by `python docs/make_reference.py`."""

from __future__ import annotations

import difflib
from pathlib import Path

_HERE = Path(__file__).parent
READY = tuple(sorted(path.stem for path in _HERE.glob("*.yaml")))
"""Their names, for `extends: balanced` and `--policy balanced`."""


def ready_policy(name: str) -> Path | None:
    """Return the file of a ready policy; None where there is none of that name."""
    return _HERE / f"{name}.yaml" if name in READY else None


def did_you_mean(name: str) -> str:
    """Say which ready policy was meant by a name that none bears."""
    near = difflib.get_close_matches(name, READY, n=1)
    return f"did you mean `{near[0]}`?" if near else f"ready are {', '.join(READY)}; a file is named with its .yaml"
