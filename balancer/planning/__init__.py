"""From a wanted placement to a plan that can be carried out, and the proof that it is safe at every step."""

from balancer.planning.making import make_plan
from balancer.planning.question import Question, ask
from balancer.planning.verify import Objection, verify

__all__ = ["Objection", "Question", "ask", "make_plan", "verify"]
