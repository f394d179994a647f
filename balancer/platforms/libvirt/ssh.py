"""SSH as the way to a hypervisor: a program beside us, which asks nobody anything and has to come through in time."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

OPENING_SECONDS = 20.0
"""As long as a silent hypervisor may last before its connection is broken; a slow login takes less."""


def is_ssh(uri: str) -> bool:
    return urlsplit(uri).scheme.endswith("+ssh")


def asking_nobody(uri: str) -> str:
    """Take the terminal from ssh: it then refuses an unknown host key where it would wait for somebody's yes."""
    parts = urlsplit(uri)
    if not is_ssh(uri) or "no_tty=" in parts.query:
        return uri
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, "no_tty=1")))))


@contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """End the programs that this thread begins here if they hang: libvirt itself would wait for them for ever."""
    thread, late = threading.get_native_id(), threading.Event()

    def end() -> None:
        late.set()
        end_programs_of(thread)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if late.is_set():
            raise TimeoutError(f"ssh has not come through to its libvirtd within {seconds:g} s") from error
        raise
    finally:
        timer.cancel()


def end_programs_of(thread: int) -> None:
    """End what a thread of ours, by its native id, has started; whoever waits for an answer from it is told at once."""
    try:
        children = Path(f"/proc/self/task/{thread}/children").read_text().split()
    except OSError:
        return  # the thread has ended, and no longer waits for anything
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)
