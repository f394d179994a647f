"""A real cluster on one machine: libvirtd, live-migrating QEMU guests and an IPMI BMC for each host.

Start reading at `lab.py`. By hand: `python -m tests.lab up`, `status`, `load`, `down`.
"""

from .commands import LabError
from .guests import Counter, Guest
from .lab import Lab
from .requirements import missing

__all__ = ["Counter", "Guest", "Lab", "LabError", "missing"]
