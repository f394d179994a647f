"""The files that `init` writes, with comments from which an administrator learns them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from balancer.beginning.finding import Found
from balancer.beginning.remarks import Remark, Weight, shared_paths
from balancer.domain.site_file import SiteFile, SiteHost
from balancer.domain.units import gib
from balancer.formats.writing import one_line


def site_text(site: SiteFile, found: Found, remarks: tuple[Remark, ...], now: datetime) -> str:
    """Return site.yaml."""
    return "\n".join([*_head(site, now), *_hosts(site, found, remarks), *_storage(found), *_rest(site)]) + "\n"


def _head(site: SiteFile, now: datetime) -> Iterator[str]:
    yield _HEAD.format(day=f"{now:%Y-%m-%d}", cluster=one_line(site.cluster))


_HEAD = """\
# What is where, and how to reach it. Written by `balancer init` on {day}; it is yours to change.
# `balancer doctor` says whether it is right. All that can be said: configs/site.example.yaml, `balancer schema site`.
schema: balancer.site/1
cluster: {cluster}
platform: {{kind: libvirt, poll_deadline_seconds: 10}}   # a host that is silent for longer is in doubt, never idle

# `uri`: how this machine reaches the hypervisor. `peer_uri`: how other hosts do when they hand guests over.
# `migration_uri`: the network that the guests' memory travels on. What is absent, libvirt finds out by itself.
# The password of a `bmc` is in the file that `secret_ref` names in the secrets directory, and never here.
# `may_sleep` is false until you say otherwise: hosts also run storage, quorum, DNS. Before one sleeps,
# `balancer power test NAME` has to prove that it wakes."""


def _hosts(site: SiteFile, found: Found, remarks: tuple[Remark, ...]) -> Iterator[str]:
    yield "hosts:"
    for host in site.hosts:
        yield from (f"  # {line}" for line in _comments(host, found, remarks))
        yield f"  - name: {one_line(host.name)}"
        for key in ("uri", "peer_uri", "migration_uri"):
            if value := getattr(host, key):
                yield f"    {key}: {one_line(value)}"
        if host.bmc is not None:
            yield f"    bmc: {one_line(host.bmc.model_dump(exclude_unset=True))}"
        yield "    may_sleep: false"
        if host is site.hosts[0]:
            yield "    # labels: {rack: r1}                          # what promises of the policy select by"
            yield "    # power: {idle_watts: 120, peak_watts: 320}   # what it draws; `least_power` goes by it"


def _comments(host: SiteHost, found: Found, remarks: tuple[Remark, ...]) -> Iterator[str]:
    if there := found.hosts.get(host.name):
        facts = f"{there.cpus} cores, {gib(there.memory_mib):.0f} GiB, {there.facts.cpu_model or 'CPU not named'}"
        yield f"{facts}; libvirt {there.libvirt}, {there.hypervisor}"
        yield f"machine {there.facts.uuid or 'without UUID'}; networks: {', '.join(there.networks) or 'none'}"
    for remark in remarks:
        if remark.host == host.name and remark.weight is Weight.FAULT:
            yield f"when this was written: {' '.join(remark.words.split())}"


def _storage(found: Found) -> Iterator[str]:
    certain, alike = shared_paths(found)
    yield ""
    yield "# Directories that are the same on each host: guests whose disks lie there need no disk copy to move."
    if certain:
        yield "# These are mounted from a network by a storage pool of each host."
    yield f"shared_paths: {one_line(list(certain))}"
    if alike:
        yield f"# These look the same on each host; if they are one directory: shared_paths: {one_line(list(alike))}"


def _rest(site: SiteFile) -> Iterator[str]:
    yield _REST.format(store=one_line(site.store))


_REST = """
# Journal, marks and the right to act. Back it up: it knows which hosts the balancer has put to sleep.
store: {store}

# Readings are always kept beside the balancer. What a Prometheus or an InfluxDB has of earlier days helps:
# sources: [{{kind: prometheus, url: "http://prometheus.example:9090", exporter: libvirt-exporter}}]"""


def policy_text(cluster: str) -> str:
    """Return policy.yaml: it only recommends."""
    return _POLICY.format(cluster=one_line(cluster))


_POLICY = """\
# What is wanted of the cluster. `balancer check policy.yaml` finds every fault of it with its line; a running service
# takes a changed file over by itself. The reference: docs/policy.md; all at once: configs/policy.example.yaml.
schema: balancer.policy/1
name: {cluster}

# recommend: only says what it would do | confirm: a plan waits for a person's word | act: acts by itself.
mode: recommend

# A part of each host stays free, so that a guest may grow and a migration may land.
headroom: {{cpu: 0.85, memory: 0.90}}

# Wishes, by weight: load hosts evenly, and move little. To save power as well, add `least_power: {{weight: 0.3}}`, and
# allow hosts to sleep in the site file.
objectives:
  even_load: {{weight: 1.0}}
  few_moves: {{weight: 0.02}}

# Promises, which no plan ever breaks. A few to begin with; docs/policy.md has all kinds.
constraints: []
#  - {{kind: apart, name: db-apart, vms: [db1, db2]}}                 # never on one host
#  - {{kind: stay, name: pinned, vms: [pbx]}}                         # never moved
#  - {{kind: reserve, name: one-host-may-fail, host_failures: 1}}     # each guest keeps a place if a host dies

# What may be spent on moves in one cycle, and at the same time.
budget: {{moves: 20, gib: 300, concurrent_per_host: 2}}

stability:
  hold_minutes: 10                    # a need has to last for so long before guests move for evenness
  cooldown_minutes: 15                # a guest that was moved stays put for so long

interval_seconds: 300                 # from one look to the next
plan_valid_minutes: 30                # a plan that a person approves later than this is made anew
"""
