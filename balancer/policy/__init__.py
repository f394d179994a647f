"""What an administrator wants, as a frozen value."""

from balancer.policy.loading import DEFAULT_POLICY, load_policy
from balancer.policy.model import Policy

__all__ = ["DEFAULT_POLICY", "Policy", "load_policy"]
