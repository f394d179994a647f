"""Clocks: readings of a host whose clock is wrong are doubted. libvirt does not tell a host's time; ssh does."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from balancer.doctor.base import Examined, Finding, Standing

SKEW_SECONDS = 5.0
TOO_MUCH_SECONDS = 60.0


def clocks(world: Examined) -> Iterator[Finding]:
    """Compare the clocks of hosts that are reached by SSH with the one here."""
    if world.found is None or world.site is None:
        return
    reached = {host.name: host.uri or "" for host in world.site.hosts if host.name in world.found.hosts}
    by_ssh = {name: uri for name, uri in reached.items() if urlsplit(uri).scheme.endswith("+ssh")}
    with ThreadPoolExecutor(max_workers=32) as pool:
        answers = pool.map(lambda uri: _skew(uri, world.deadline_seconds), by_ssh.values())
        for name, skew in zip(by_ssh, answers, strict=True):
            yield _judged(name, skew)
    unseen = [name for name in reached if name not in by_ssh]
    if unseen:
        words = f"cannot be seen through the `uri` of {len(unseen)} hosts, only through ssh"
        yield Finding(Standing.UNSEEN, words, "see that NTP runs on hosts and here: timedatectl")


def _skew(uri: str, seconds: float) -> float | None:
    """Return by how many seconds a host is ahead of here, give or take the way; None where ssh does not tell."""
    parts, asked = urlsplit(uri), datetime.now(UTC)
    options = parse_qs(parts.query)
    key = ["-i", options["keyfile"][0]] if "keyfile" in options else []
    port = ["-p", str(parts.port)] if parts.port else []
    whom = f"{parts.username}@{parts.hostname}" if parts.username else str(parts.hostname)
    ssh = options.get("command", ["ssh"])[0]
    command = [ssh, "-o", "BatchMode=yes", *key, *port, "--", whom, "date", "+%s.%N"]
    try:
        said = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=True, stdin=subprocess.DEVNULL
        )
        half_way = asked + (datetime.now(UTC) - asked) / 2
        return float(said.stdout.strip()) - half_way.timestamp()
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _judged(host: str, skew: float | None) -> Finding:
    if skew is None:
        return Finding(Standing.UNSEEN, "cannot be seen: this user may not run `date` there by ssh", about=host)
    words = f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this machine"
    if abs(skew) < SKEW_SECONDS:
        return Finding(Standing.OK, words, about=host)
    standing = Standing.FAULT if abs(skew) > TOO_MUCH_SECONDS else Standing.WARNING
    return Finding(standing, words, "see that NTP runs on both: timedatectl", host)
