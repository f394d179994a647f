"""The balancer's own history as a record that can be lived through again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from balancer.demand.diary import with_wait
from balancer.domain.host import Host
from balancer.domain.rehearsal_file import GuestSize, HostGroup, HostModel, RehearsalFile
from balancer.domain.rehearsed import Odd
from balancer.domain.site_file import SiteFile, SiteHost
from balancer.domain.vm import Vm
from balancer.errors import Fault, InputError
from balancer.history.embedded import EmbeddedHistory
from balancer.history.inventory import Inventory
from balancer.history.keeping import BUCKET_SECONDS
from balancer.simulation.laying import AsSeen, Laid
from balancer.simulation.machines import GuestSpec, HostSpec
from balancer.simulation.traces.base import Notes, Trace, TracedGuest, trace_of_rows

FIRST, LAST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def laid_from_history(path: Path, cluster: str, since: datetime | None, until: datetime | None) -> Laid:
    """Return what was recorded between two moments: load, sizes, hosts, and where guests lived at the begin."""
    if not path.exists():
        raise InputError([Fault(str(path), "there is no history", "name the state directory with BALANCER_STATE")])
    history = EmbeddedHistory(path)
    try:
        begin, end = since or FIRST, until or LAST
        guests, hosts = history.guest_readings(begin, end), history.host_readings(begin, end)
        if guests.empty:
            raise InputError([Fault(str(path), "nothing was recorded between these times", "is it the right cluster?")])
        first = guests["at"].min().to_pydatetime()
        return _laid(cluster, guests, hosts, history.inventory(end), history.inventory(first))
    finally:
        history.close()


def as_the_site_file_says(laid: Laid, file: SiteFile) -> Laid:
    """Return a record whose hosts take the watts, boot seconds and lines that a site file gives them now."""
    entries = {entry.name: entry for entry in file.hosts}
    return replace(laid, hosts=tuple(_as_entered(host, entries.get(host.name)) for host in laid.hosts))


def _as_entered(host: HostSpec, entry: SiteHost | None) -> HostSpec:
    if entry is None:
        return host
    seconds = None if entry.power is None else entry.power.boot_seconds
    return replace(
        host,
        cores=entry.capacity.cpu_cores or host.cores,
        memory_mib=entry.capacity.memory_mib or host.memory_mib,
        power=entry.power or host.power,
        boot_seconds=host.boot_seconds if seconds is None else seconds,
        migration_mib_per_s=entry.migration_mib_per_s or host.migration_mib_per_s,
        may_sleep=entry.may_sleep,
    )


def hosts_of_site(file: SiteFile) -> RehearsalFile:
    """Return the hosts of a site file to lay any record on. InputError where it does not say how large they are."""
    groups = tuple(HostGroup(count=1, name=entry.name, models=(_model(file, entry),)) for entry in file.hosts)
    return RehearsalFile(name=file.cluster, hosts=groups)


def _model(file: SiteFile, entry: SiteHost) -> HostModel:
    cores, mib, power = entry.capacity.cpu_cores, entry.capacity.memory_mib, entry.power
    if not cores or not mib or power is None:
        way = "a record is laid on hosts whose `capacity: {cpu_cores, memory_mib}` and `power` it says"
        raise InputError([Fault(f"{file.cluster}: {entry.name}", "the site file does not say how large it is", way)])
    stated = {} if power.boot_seconds is None else {"boot_seconds": power.boot_seconds}
    return HostModel(
        model=entry.name,
        cpu_cores=cores,
        memory_mib=mib,
        power=power,
        hypervisor_cores=entry.reserved.cpu_cores,
        hypervisor_memory_mib=entry.reserved.memory_mib,
        labels=entry.labels,
        may_sleep=entry.may_sleep,
        **stated,
    )


def _laid(cluster: str, guests: pd.DataFrame, hosts: pd.DataFrame, known: Inventory, first: Inventory) -> Laid:
    names, notes = {key: str(facts["name"]) for key, facts in {**first.guests, **known.guests}.items()}, Notes()
    for key in sorted(set(guests["key"]) - set(names)):
        notes.add(Odd.NO_SIZE, str(key), "", "left out: recorded before sizes were kept")
    guests = guests[guests["key"].isin(names)]
    if guests.empty or not first.hosts:
        raise InputError([Fault(cluster, "was recorded before sizes were kept", "begin later, with --from")])
    facts = {names[key]: row for key, row in {**first.guests, **known.guests}.items()}
    trace = _trace(cluster, guests, names, facts, notes)
    trace = _in_order(trace, list(facts))
    sizes = tuple(_size(facts[guest.name]) for guest in trace.guests)
    needs = np.minimum(trace.needs, np.array([math.ceil(size.cores) for size in sizes], dtype=np.float32))
    specs = tuple(
        _guest(facts[guest.name], AsSeen(needs[:, place].copy(), trace.begin, trace.step_seconds, True))
        for place, guest in enumerate(trace.guests)
    )
    own = _own_load(guests, hosts, first)
    return Laid(
        name=cluster,
        begin=trace.begin,
        step_seconds=trace.step_seconds,
        hosts=tuple(_host(Host.model_validate(row), *own.get(name, (0.0, 0.0))) for name, row in first.hosts.items()),
        guests=specs,
        sizes=sizes,
        needs=needs,
        homes={names[key]: host for key, host in first.places.items() if key in names},
        asleep=frozenset(name for name, row in first.hosts.items() if row.get("asleep_by_us")),
        oddities=trace.oddities,
    )


def _trace(
    cluster: str, guests: pd.DataFrame, names: Mapping[str, str], facts: Mapping[str, Any], notes: Notes
) -> Trace:
    called = guests["key"].map(dict(names))
    vcpus = called.map({name: float(row["vcpus"]) for name, row in facts.items()}).to_numpy(dtype=float)
    used, waited = (np.asarray(guests[name], dtype=float) for name in ("cpu_cores", "wait_share"))
    rows = pd.DataFrame(
        {
            "guest": called.to_numpy(),
            "at": bucket_ends(guests["at"].dt.as_unit("ms").astype("int64").to_numpy() / 1000.0),
            "need": with_wait(used, waited, np.asarray(vcpus, dtype=float)),
        }
    )
    # The latest looks are not yet merged into buckets: as they are, steps would be as short as looks are apart.
    rows = rows.groupby(["guest", "at"], sort=False)["need"].mean().reset_index()
    return trace_of_rows(cluster, rows, {name: TracedGuest(name) for name in facts}, notes)


def bucket_ends(at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the end of the bucket that each moment falls in, or will."""
    return np.asarray(np.ceil(at / BUCKET_SECONDS - 1e-6) * BUCKET_SECONDS, dtype=float)


def _in_order(trace: Trace, names: list[str]) -> Trace:
    """Return a record with its guests as hypervisors listed them: of equal moves the first listed comes first."""
    place = {name: number for number, name in enumerate(names)}
    order = sorted(range(len(trace.guests)), key=lambda column: place[trace.guests[column].name])
    return replace(trace, guests=tuple(trace.guests[column] for column in order), needs=trace.needs[:, order])


def _size(row: Mapping[str, Any]) -> GuestSize:
    return GuestSize(cores=float(row["vcpus"]), memory_mib=float(row["memory_mib"]))


def _guest(row: Mapping[str, Any], load: AsSeen) -> GuestSpec:
    vm = Vm.model_validate({"host": "nowhere yet", **row})
    return GuestSpec(
        name=vm.name,
        vcpus=vm.vcpus,
        memory_mib=vm.memory_mib,
        load=load,
        labels=vm.labels,
        movable=vm.movable,
        why_not=vm.why_not,
        storage=vm.storage,
        disk_gib=vm.disk_gib or 0.0,
        cpu_models=vm.cpu_models,
        autostart=vm.autostart or False,
    )


def _host(host: Host, own_cores: float, own_mib: float) -> HostSpec:
    return HostSpec(
        name=host.name,
        cores=host.usable_cores,
        memory_mib=host.usable_memory_mib,
        labels=host.labels,
        power=host.power,
        cpu_model=host.cpu_model,
        boot_seconds=host.boot_seconds,
        migration_mib_per_s=host.migration_mib_per_s,
        may_sleep=host.may_sleep is not False,
        hypervisor_cores=own_cores,
        hypervisor_memory_mib=own_mib,
        pools=host.pools,
        networks=host.networks,
    )


def _own_load(guests: pd.DataFrame, hosts: pd.DataFrame, first: Inventory) -> dict[str, tuple[float, float]]:
    """Return what each hypervisor used itself at the first moment: its reading above the sum of its guests."""
    at = guests["at"].min()
    used = guests[guests["at"] == at].set_index("key")["cpu_cores"].to_dict()
    found = {}
    for row in hosts[hosts["at"] == at].itertuples():
        here = [key for key, host in first.places.items() if host == row.key]
        cores = float(row.cpu_cores) - sum(used.get(key, 0.0) for key in here)
        mib = float(row.memory_mib) - sum(float(first.guests[key]["memory_mib"]) for key in here)
        found[str(row.key)] = (max(0.0, round(cores, 2)), max(0.0, round(mib)))
    return {name: load for name, load in found.items() if not any(map(math.isnan, load))}
