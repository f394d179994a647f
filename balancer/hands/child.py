"""`python -m balancer.hands.child READS WRITES` carries orders out for its parent, until its time has come.

    the first word       what to reach, and until when to live: the kernel's alarm is set before anything is opened
    each further word    until when to live from now on, and maybe an order
    the line breaks      the balancer has ended or has no more right to act: the hands end at once, in mid-order too

So a balancer that freezes renews nothing, and its hands die in time; one that is killed takes them along; and hands
that were frozen themselves die when they thaw. Migrations are carried out by the hypervisors between them and go on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from multiprocessing.connection import Connection
from typing import Any

from balancer import lifetime
from balancer.clock import WallClock
from balancer.errors import BalancerError
from balancer.hands.base import THE_PLATFORM, Answer, Opening, Order
from balancer.masking import masked
from balancer.platforms import open_platform
from balancer.power import open_switches

SIDE_BY_SIDE = 32  # orders; each waits for one hypervisor or BMC, which may be slow

Reach = Mapping[str, Any]
"""The platform and the switches, by the name that orders use."""


def reach(opening: Opening) -> Reach:
    """Open the platform and the switches of a site file."""
    switches = open_switches(opening.file, opening.secrets)
    return {THE_PLATFORM: open_platform(opening.file, WallClock()), **switches}


def serve(orders: Connection, answers: Connection, open_what: Callable[[Opening], Reach] = reach) -> None:
    """Carry out orders, many at the same time; returns when the line breaks."""
    opening, *told_meanwhile = _said_so_far(orders)
    lifetime.end_at(max(said.until for said in (opening, *told_meanwhile)))
    reached = open_what(opening)
    speaking = threading.Lock()

    def carry_out(order: Order) -> None:
        answer = _answer_to(order, reached)
        with speaking:
            answers.send(answer)

    pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="order")
    for told in chain(told_meanwhile, iter(orders.recv, None)):
        lifetime.end_at(told.until)
        if isinstance(told, Order):
            pool.submit(carry_out, told)


def _said_so_far(orders: Connection) -> list[Any]:
    """Return all that was said while this process was starting: its life may have been made longer meanwhile."""
    said = [orders.recv()]
    while orders.poll():
        said.append(orders.recv())
    return said


def _answer_to(order: Order, reached: Reach) -> Answer:
    try:
        return Answer(order.number, said=getattr(reached[order.whose], order.what)(*order.words))
    except BalancerError as failed:
        return Answer(order.number, raised=failed)
    except Exception as failed:
        print(masked(traceback.format_exc()), file=sys.stderr)
        return Answer(order.number, raised=RuntimeError(f"{type(failed).__name__} in the hands: {failed}"))


def main(open_what: Callable[[Opening], Reach] = reach) -> None:
    """Serve the parent that started this process, and leave with it."""
    lifetime.listen_to_the_alarm()
    # A terminal and a service manager tell the whole group to stop; these hands let finish what their balancer does.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    reads, writes = (int(word) for word in sys.argv[-2:])
    try:
        serve(Connection(reads, writable=False), Connection(writes, readable=False), open_what)
    except (EOFError, OSError):
        os._exit(0)  # orders that are being carried out are not waited for
    except BaseException:
        print(masked(traceback.format_exc()), file=sys.stderr)
        os._exit(1)


if __name__ == "__main__":
    main()
