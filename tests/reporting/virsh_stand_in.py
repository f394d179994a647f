"""A virsh whose cluster is a file: lists guests, moves them, and writes down what was begun and what ended.

hosts      by URI, by guest: what is true of it there (active, shut off, persistent, autostart)
waits_for  by guest: a migration that ends only once that other one has begun
failing    guests whose migration fails
log        (begun or ended, guest, words of the command)
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CLUSTER = "VIRSH_STAND_IN"
STATES = {"--inactive": "shut off", "--autostart": "autostart", "--persistent": "persistent"}


@contextmanager
def the_cluster() -> Iterator[dict[str, Any]]:
    """Read the cluster, and write it back as it was changed; one command after the other."""
    file = Path(os.environ[CLUSTER])
    with file.open("r+") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        cluster = json.load(opened)
        yield cluster
        opened.seek(0)
        opened.truncate()
        json.dump(cluster, opened)


def main(words: list[str]) -> None:
    connect, uri, command, *rest = words
    assert connect == "--connect"
    commands: dict[str, Callable[[str, list[str]], None]] = {
        "list": show,
        "migrate": migrate,
        "migrate-setmaxdowntime": lambda uri, words: note("may stand still", words),
        "autostart": autostart,
    }
    with the_cluster() as cluster:
        left = cluster["asleep"].get(uri, 0)
        cluster["asleep"][uri] = max(0, left - 1)
        is_silent = left > 0 or uri not in cluster["hosts"]
    if is_silent:
        sys.exit(f"error: failed to connect to the hypervisor at {uri}")
    commands[command](uri, rest)


def show(uri: str, words: list[str]) -> None:
    wanted = next((state for option, state in STATES.items() if option in words), "active")
    with the_cluster() as cluster:
        guests = [guest for guest, marks in cluster["hosts"][uri].items() if wanted in marks]
    print("\n".join(guests) + "\n")


def autostart(uri: str, words: list[str]) -> None:
    with the_cluster() as cluster:
        cluster["hosts"][uri][of(words, "--domain")].append("autostart")


def migrate(uri: str, words: list[str]) -> None:
    guest = of(words, "--domain")
    note("begun", words)
    while not may_end(guest):
        time.sleep(0.05)
    with the_cluster() as cluster:
        if guest in cluster["failing"]:
            sys.exit("error: Unsafe migration: Migration without shared storage is unsafe")
        marks = cluster["hosts"][uri].pop(guest)
        is_kept = "--persistent" in words
        goes = {"active", "shut off", "persistent"} if is_kept else {"active", "shut off"}
        cluster["hosts"][of(words, "--desturi")][guest] = [mark for mark in marks if mark in goes]
        if "persistent" in marks and "--undefinesource" not in words:
            cluster["hosts"][uri][guest] = ["shut off", "persistent"]
    note("ended", words)


def may_end(guest: str) -> bool:
    with the_cluster() as cluster:
        begun = {other for what, other, _ in cluster["log"] if what == "begun"}
        return cluster["waits_for"].get(guest) in {None, *begun}


def note(what: str, words: list[str]) -> None:
    with the_cluster() as cluster:
        cluster["log"].append([what, of(words, "--domain"), words])


def of(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


if __name__ == "__main__":
    main(sys.argv[1:])
