"""Carrying a plan out: step by step, written down first, looked at again before each step."""

from balancer.execution.acting_site import ActingSite
from balancer.execution.conditions import reasons_against_power_off
from balancer.execution.events import Event, Events
from balancer.execution.identity import Identity, prove_identity
from balancer.execution.limits import Limits
from balancer.execution.looking import look
from balancer.execution.power_on import reasons_against_power_on
from balancer.execution.power_proof import PowerTest, prove_power
from balancer.execution.recovery import Settled, Verdict, settle_the_past
from balancer.execution.report import Course, Outcome, Progress, Result, RunReport, StepProgress
from balancer.execution.runner import Held, Runner
from balancer.execution.starting import Gate

__all__ = [
    "ActingSite",
    "Course",
    "Event",
    "Events",
    "Gate",
    "Held",
    "Identity",
    "Limits",
    "Outcome",
    "PowerTest",
    "Progress",
    "Result",
    "RunReport",
    "Runner",
    "Settled",
    "StepProgress",
    "Verdict",
    "look",
    "prove_identity",
    "prove_power",
    "reasons_against_power_off",
    "reasons_against_power_on",
    "settle_the_past",
]
