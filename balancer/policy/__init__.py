"""What an administrator wants, as a frozen value."""

from balancer.policy.loading import DEFAULT_POLICY, Loaded, load, load_policy
from balancer.policy.model import Freeze, Policy
from balancer.policy.watching import Reading, WatchedPolicy

__all__ = ["DEFAULT_POLICY", "Freeze", "Loaded", "Policy", "Reading", "WatchedPolicy", "load", "load_policy"]
