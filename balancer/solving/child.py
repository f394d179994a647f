"""`python -m balancer.solving.child` serves its parent: see workers.py. It ends when the parent does."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import suppress
from multiprocessing.connection import Connection

from balancer.solving.engine import Engine
from balancer.solving.workers import Here, stay_here


def serve(requests: Connection, answers: Connection) -> None:
    """Answer one request after the other: what the engine is asked, or a function that is to be called."""
    engine = Engine()
    stay_here(Here())
    while True:
        what, words = requests.recv()
        before = time.process_time()
        try:
            called = getattr(engine, what) if isinstance(what, str) else what
            is_answer, answer = True, called(*words)
        except Exception as failure:
            is_answer, answer = False, failure
        answers.send((is_answer, answer, time.process_time() - before))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal: its parent says what is stopped
    reads, writes = (int(word) for word in sys.argv[1:3])
    with suppress(EOFError, BrokenPipeError):
        serve(Connection(reads, writable=False), Connection(writes, readable=False))
