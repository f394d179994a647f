"""Carrying a plan out: step by step, written down first, looked at again before each step."""

from balancer.execution.acting_site import ActingSite
from balancer.execution.limits import Limits
from balancer.execution.looking import look
from balancer.execution.recovery import Settled, Verdict, settle_the_past
from balancer.execution.report import Outcome, Progress, Result, RunReport
from balancer.execution.runner import Gate, Runner

__all__ = [
    "ActingSite",
    "Gate",
    "Limits",
    "Outcome",
    "Progress",
    "Result",
    "RunReport",
    "Runner",
    "Settled",
    "Verdict",
    "look",
    "settle_the_past",
]
