"""The system that guests boot: a kernel, and an initramfs of busybox, a few modules and guest_init.sh."""

import shutil
from pathlib import Path

from .commands import run
from .hosts import HERE
from .requirements import cache_directory


def build(directory: Path) -> None:
    """Leave `vmlinuz` and `initrd` in the directory."""
    root = directory / "root"
    for part in ("bin", "dev", "proc", "sys", "work"):
        (root / part).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "busybox", root / "bin")
    shutil.copy(HERE / "guest_init.sh", root / "init")
    (root / "init").chmod(0o755)
    shutil.copytree(cache_directory() / "modules", root / "modules")
    shutil.copy(cache_directory() / "vmlinuz", directory)
    run("sh", "-c", 'cd "$1" && find . | cpio --quiet -o -H newc >../initrd', "sh", str(root))
    shutil.rmtree(root)
