"""A BMC on a loopback port, and a machine that is a file saying whether it has power."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

GUID = "a1234567-89ab-cdef-a123-456789abcdef"
USER, PASSWORD = "admin", "s3cret-word"

# The machine: `power` holds 0 or 1, `wishes` what was asked of it. Its operating system obeys a soft shutdown.
CHASSIS = """\
#!/bin/sh
cd "$(dirname "$0")" || exit 1
case "$2 $3 $4" in
    "get power "*) echo "power:$(cat power)" ;;
    "set power "*) echo "power $4" >>wishes; echo "$4" >power ;;
    "set shutdown 1") echo shutdown >>wishes; echo 0 >power ;;
    *) echo "$3:0" ;;
esac
exit 0
"""


@dataclass
class BmcBench:
    """One BMC and its machine, whatever they speak."""

    directory: Path
    port: int
    _bmc: subprocess.Popen[bytes] | None = field(default=None, repr=False, kw_only=True)

    def make_machine(self) -> None:
        """Put a machine that is on behind the BMC."""
        (self.directory / "power").write_text("1\n")
        (self.directory / "wishes").write_text("")
        chassis = self.directory / "chassis.sh"
        chassis.write_text(CHASSIS)
        chassis.chmod(0o755)

    def stop(self) -> None:
        """Take the BMC away, frozen or not."""
        if self._bmc is not None:
            self._bmc.kill()
            self._bmc.wait()
            self._bmc = None

    def freeze(self) -> None:
        """Let the BMC take packets and never answer."""
        assert self._bmc is not None
        self._bmc.send_signal(signal.SIGSTOP)

    @property
    def has_power(self) -> bool:
        return (self.directory / "power").read_text().strip() == "1"

    @has_power.setter
    def has_power(self, on: bool) -> None:
        (self.directory / "power").write_text(f"{int(on)}\n")

    @property
    def wishes(self) -> list[str]:
        """What the machine was asked for, in order."""
        return (self.directory / "wishes").read_text().splitlines()
