"""The hands: a process that carries out what the balancer orders, and that dies when the right to act runs out.

Hypervisors and BMCs check no token, so an order that is late has to be stopped on our side. Begin with `child.py`.
"""

from balancer.hands.base import Hands, HandsLost, HandsTied
from balancer.hands.here import HandsHere
from balancer.hands.process import HandsInAChild
from balancer.hands.through import platform_through, switch_through

__all__ = [
    "Hands",
    "HandsHere",
    "HandsInAChild",
    "HandsLost",
    "HandsTied",
    "platform_through",
    "switch_through",
]
