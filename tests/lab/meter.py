"""Shows a lab host its own load: runs inside it and rewrites what stands in for its /proc/stat and /proc/meminfo.

All lab hosts share one machine, so the machine's own figures would show each of them the load of all. The number of
CPUs and the total memory stay the machine's. Standard library only: it runs by path, outside any package.
"""

import os
import re
import sys
import time
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
SECONDS = 0.2
"""Well below the second that lies between two looks at least: a real host's counters never stand still between them."""
HYPERVISOR_KIB = 64 * 1024
"""What a host without guests uses."""


def busy_ticks_by_process() -> dict[tuple[int, str], int]:
    """CPU time that each process of this host has used, under its PID and start time."""
    found = {}
    for process in processes():
        try:
            # The name in the second field may hold blanks and brackets; fields count from behind it.
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        found[int(process.name), fields[19]] = int(fields[11]) + int(fields[12])
    return found


def guests_kib() -> int:
    """Memory that guests hold, without what QEMU itself needs: TCG's translation cache would drown a small guest."""
    total = 0
    for process in processes():
        try:
            assigned_kib = assigned_to((process / "cmdline").read_text(errors="replace"))
            resident_kib = int((process / "statm").read_text().split()[1]) * PAGE_KIB
        except (OSError, IndexError):
            continue  # it has just ended
        total += min(assigned_kib, resident_kib)
    return total


def assigned_to(command_line: str) -> int:
    """The KiB that a QEMU gives its guest, in the two ways that libvirt writes it; 0 for other programs."""
    found = re.search(r"\0-m\0(?:size=(\d+)k|(\d+)\0)", command_line)
    if not found:
        return 0
    return int(found[1]) if found[1] else int(found[2]) * 1024


def processes() -> list[Path]:
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def stat_text(busy: int, elapsed: int, cpus: int, btime: str) -> str:
    """Counters since this host's boot, its busy time spread evenly over the CPUs."""
    idle = max(0, elapsed * cpus - busy)
    lines = [f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0"]
    lines += [f"cpu{cpu} {busy // cpus} 0 0 {idle // cpus} 0 0 0 0 0 0" for cpu in range(cpus)]
    return "\n".join([*lines, btime, ""])


def meminfo_text(total_kib: int, used_kib: int) -> str:
    free = max(0, total_kib - used_kib)
    facts = {"MemTotal": total_kib, "MemFree": free, "MemAvailable": free, "Buffers": 0, "Cached": 0}
    return "".join(f"{name + ':':<15} {kib:>9} kB\n" for name, kib in facts.items())


def overwrite(path: Path, text: str) -> None:
    """In place, because the mount holds on to the file itself; padded, so that no end of an older text is left."""
    with path.open("r+b", buffering=0) as file:
        file.write(text.encode().ljust(os.fstat(file.fileno()).st_size, b"\n"))


def main(directory: Path) -> None:
    stat, meminfo = directory / "stat", directory / "meminfo"
    total_kib = int(re.search(r"MemTotal:\s+(\d+)", meminfo.read_text())[1])  # type: ignore[index]
    btime = re.search(r"btime \d+", stat.read_text())[0]  # type: ignore[index]
    cpus, booted, busy, before = os.cpu_count() or 1, time.monotonic(), 0, busy_ticks_by_process()
    while True:
        now = busy_ticks_by_process()
        busy += sum(max(0, ticks - before.get(process, 0)) for process, ticks in now.items())
        before = now
        elapsed = int((time.monotonic() - booted) * TICKS_PER_SECOND)
        overwrite(stat, stat_text(busy, elapsed, cpus, btime))
        overwrite(meminfo, meminfo_text(total_kib, HYPERVISOR_KIB + guests_kib()))
        time.sleep(SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
