"""The deciding half: which placement is best, and how far from the best it can be at most. Start at `find.py`."""

from balancer.solving.find import find_placement
from balancer.solving.problem import Decision, Effort, Problem

__all__ = ["Decision", "Effort", "Problem", "find_placement"]
