"""What the lab needs of the machine; `install.sh` beside this file fetches it."""

import os
import shutil
import subprocess
from pathlib import Path

PROGRAMS = {
    "busybox": "busybox-static",
    "cpio": "cpio",
    "ip": "iproute2",
    "ipmitool": "ipmitool",
    "ipmi_sim": "openipmi",
    "libvirtd": "libvirt-daemon",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "virsh": "libvirt-clients",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
}
MOUNT_POINTS = [Path("/etc/pki"), *(Path(f"/{part}/libvirt") for part in ("etc", "var/lib", "var/log", "var/cache"))]
QEMU_DRIVER = "*/libvirt/connection-driver/libvirt_driver_qemu.so"


def cache_directory() -> Path:
    """Where the guests' kernel is kept between labs, by the same rule as in install.sh."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "balancer-lab"


def missing() -> list[str]:
    """What this machine lacks for a lab, in words; empty if a lab can be started."""
    if os.geteuid() != 0:
        return ["root (namespaces, mounts and bridges need it)"]
    lacks = [f"{package} ({program})" for program, package in PROGRAMS.items() if not shutil.which(program)]
    if not any(Path("/usr/lib").glob(QEMU_DRIVER)):
        lacks.append("libvirt-daemon-driver-qemu")
    lacks += [f"the directory {path}" for path in MOUNT_POINTS if not path.is_dir()]
    if not (cache_directory() / "modules/order").exists():
        lacks.append("a guest kernel")
    if lacks:
        return [*lacks, "(tests/lab/install.sh fetches all of it)"]
    return [] if may_make_namespaces() else ["the right to make namespaces (a container has to be privileged)"]


def may_make_namespaces() -> bool:
    probe = ["unshare", "--mount", "--net", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0
