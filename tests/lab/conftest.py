from .fixtures import lab, pytest_configure, shared_lab

__all__ = ["lab", "pytest_configure", "shared_lab"]
