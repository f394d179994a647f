"""The long-running process. `loop.py` is the story; the other files are what it leans on."""

from balancer.service.health import HEALTH_FILE, refused_policy, role_in_words, why_unhealthy
from balancer.service.loop import Service

__all__ = ["HEALTH_FILE", "Service", "refused_policy", "role_in_words", "why_unhealthy"]
