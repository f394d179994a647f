"""How quantities are said to people."""

from __future__ import annotations

MIB_PER_GIB = 1024


def gib(mib: float) -> float:
    """Turn MiB into GiB."""
    return mib / MIB_PER_GIB


def kwh_in_words(kwh: float) -> str:
    """Return an amount of energy so that small ones tell themselves apart, too: `0.274`, `12.6`."""
    return f"{kwh:.1f}" if kwh >= 10 else f"{kwh:.3f}"


def in_words(seconds: float) -> str:
    """Say a duration as people do: `45 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def memory_in_words(mib: float) -> str:
    """Say an amount of memory: `512 MiB`, `3.5 GiB`."""
    return f"{mib:.0f} MiB" if mib < MIB_PER_GIB else f"{gib(mib):.1f} GiB"


def count_of(number: int, thing: str) -> str:
    """Say how many of a thing there are: `1 move`, `3 moves`."""
    return f"{number} {thing}" + ("" if number == 1 else "s")
