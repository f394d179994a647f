"""What hosts and guests are called, by their number."""

from __future__ import annotations


def host_name(number: int) -> str:
    return f"h{number:05d}"


def vm_name(number: int) -> str:
    return f"vm{number:06d}"
