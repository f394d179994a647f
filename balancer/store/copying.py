"""A whole copy of a store in a file, taken while others write to it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import mkstemp

from balancer.errors import StoreError


@contextmanager
def private_copy(file: Path, folder: Path) -> Iterator[Path]:
    """Copy a store into a passing file of its own in a folder, readable by its owner alone.

    It is one moment of the store: SQLite copies all of it in one reading transaction, which keeps no writer waiting.
    StoreError where that fails, or where the store is damaged.
    """
    with in_words(file, "copy it"):
        handle, name = mkstemp(prefix=".balancer-", suffix=".db", dir=folder)
        os.close(handle)
    copy = Path(name)
    try:
        with in_words(file, "copy it"):
            _copy(file, copy)
        yield copy
    finally:
        for left in (copy, Path(f"{copy}-wal"), Path(f"{copy}-shm"), Path(f"{copy}-journal")):
            left.unlink(missing_ok=True)


def copy_to(file: Path, target: Path, over: bool = False) -> None:
    """Put a copy of a store at a place, whole or not at all. StoreError where something is there, unless `over`."""
    with private_copy(file, target.parent) as copy, in_words(file, f"copy it to {target}"):
        if over:
            os.replace(copy, target)
        else:
            os.link(copy, target)  # unlike a rename it never writes over what somebody else has just put there
        _settle(target.parent)


def copy_into(source: Path, target: Path) -> None:
    """Write a store over another in one transaction: who has it open reads the old one, then the new one."""
    with in_words(target, "write over it"), closing(_reading(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


@contextmanager
def in_words(file: Path, what: str) -> Iterator[None]:
    """Say what fails with the store's file as its owner would."""
    try:
        yield
    except (sqlite3.Error, OSError) as failed:
        cause = failed.strerror if isinstance(failed, OSError) and failed.strerror else str(failed)
        way_out = "is there room, is it a store, and may this user read and write there?"
        raise StoreError(str(file), what, cause, way_out) from failed


def _copy(file: Path, copy: Path) -> None:
    with closing(_reading(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        # A store in use keeps a part of itself in a second file; a copy that is carried about is better a single one.
        target.execute("PRAGMA journal_mode=DELETE")
        (found,) = target.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(f"it is damaged: {found}")
    with copy.open("rb") as written:
        os.fsync(written.fileno())


def _reading(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)


def _settle(folder: Path) -> None:
    """Make a new name in a folder outlive the loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
