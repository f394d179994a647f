"""Policy-driven VM load balancer and power saver."""

__version__ = "0.1.0"
