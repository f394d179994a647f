"""Records of load that are replayed: one file a format, and one line in the list that opens them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from balancer.errors import Fault, InputError
from balancer.simulation.traces.base import Trace, TracedGuest
from balancer.simulation.traces.gwa import is_gwa_csv, is_gwa_parquet, read_gwa_csv, read_gwa_parquet
from balancer.simulation.traces.planetlab import is_planetlab, read_planetlab
from balancer.simulation.traces.tables import is_csv, is_parquet, read_csv, read_parquet


@dataclass(frozen=True)
class Reader:
    """A format: its name, how it is recognised, how it is read, and the ready site that fits it."""

    name: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Trace]
    ready_site: str | None = None


READERS: Final = (
    Reader("GWA / Bitbrains parquet", is_gwa_parquet, read_gwa_parquet, "bitbrains"),
    Reader("GWA / Bitbrains csv", is_gwa_csv, read_gwa_csv, "bitbrains"),
    Reader("PlanetLab", is_planetlab, read_planetlab, "planetlab"),
    Reader("csv", is_csv, read_csv),
    Reader("parquet", is_parquet, read_parquet),
)


def reader_of(path: Path) -> Reader:
    """Return the reader that recognises a record. InputError where none does."""
    if not path.exists():
        raise InputError([Fault(str(path), "there is no such file", "name a record, or a folder of one")])
    for reader in READERS:
        if reader.recognises(path):
            return reader
    known = ", ".join(reader.name for reader in READERS)
    raise InputError([Fault(str(path), "is no record that can be read", f"known: {known}; docs/rehearsal.md")])


__all__ = ["READERS", "Reader", "Trace", "TracedGuest", "reader_of"]
