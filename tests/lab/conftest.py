from .fixtures import lab, shared_lab

__all__ = ["lab", "shared_lab"]
