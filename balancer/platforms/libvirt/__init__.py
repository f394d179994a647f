"""Hosts that run libvirt and QEMU: looking at them, moving guests between them. Start reading at `platform.py`."""

from balancer.platforms.libvirt.platform import LibvirtPlatform

__all__ = ["LibvirtPlatform"]
