"""What an administrator wants, as a frozen value."""

from balancer.policy.loading import DEFAULT_POLICY, Loaded, load, load_policy
from balancer.policy.model import Freeze, Policy

__all__ = ["DEFAULT_POLICY", "Freeze", "Loaded", "Policy", "load", "load_policy"]
