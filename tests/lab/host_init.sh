#!/bin/bash
# shellcheck disable=SC1091,SC2154
# PID 1 of a lab host, inside its own network, mount, UTS and PID namespaces: host_init.sh HOST_DIRECTORY
#
# SIGTERM shuts the host down softly, SIGUSR1 starts libvirtd again after it was killed, SIGKILL from outside pulls the plug.
set -eu
host=$1
here=$(dirname "$(readlink -f "$0")")
. "$host/host.env"

# The machine's own /proc is still mounted here, so this is the PID by which the machine knows us.
read -r pid _ </proc/self/stat
echo "$pid" >"$host/init.pid"

furnish() {
    mount -t proc proc /proc
    hostname "$name"
    # Nothing of the machine's own /run may be seen: libvirtd would talk to its D-Bus, systemd and libvirt.
    mount -t tmpfs tmpfs /run
    mkdir -p /run/libvirt /run/lock /run/guests /run/sshd
    for file in hosts passwd group; do mount --bind "$host/$file" "/etc/$file"; done
    mount --bind "$host/ssh/shadow" /etc/shadow
    mount --bind "$host/etc" /etc/libvirt
    mount --bind "$host/pki" /etc/pki
    mount --bind "$host/lib" /var/lib/libvirt
    mount --bind "$host/log" /var/log/libvirt
    mount --bind "$host/cache" /var/cache/libvirt
    mount --bind "$shared" /var/lib/libvirt/shared
    grep -E '^(cpu|btime)' /proc/stat >"$host/proc/stat"
    grep -E '^Mem' /proc/meminfo >"$host/proc/meminfo"
    for file in stat meminfo; do mount --bind "$host/proc/$file" "/proc/$file"; done
    ip link set lo up
}

# As long as a real machine takes before it is on the network; in the background, so that signals are heard meanwhile.
boot() {
    read -r seconds <"$host/boot_seconds"
    sleep "$seconds" &
    while kill -0 $! 2>/dev/null; do wait $! || true; done
    ip link set eth0 up
}

# May be asked for twice, and starts one.
start_libvirtd() {
    [ -n "${libvirtd:-}" ] && kill -0 "$libvirtd" 2>/dev/null && return 0
    libvirtd --listen &
    libvirtd=$!
}

active_guests() {
    virsh --quiet list --name 2>/dev/null | grep -v '^$'
}

# Without its last line a switched-off host would still refuse connections; a real one does not answer at all.
shut_down() {
    # In a trap, a bare "return" would hand on the status of whatever the signal interrupted.
    [ -e "$host/deaf" ] && return 0
    for guest in $(active_guests); do virsh --quiet shutdown "$guest" || true; done
    deadline=$((SECONDS + shutdown_seconds))
    while [ -n "$(active_guests)" ] && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.3; done
    for guest in $(active_guests); do virsh --quiet destroy "$guest" || true; done
    ip link set eth0 down
    exit 0
}

# Before it is furnished, virsh would reach the machine's own guests: no signal may be heard earlier.
furnish
trap shut_down TERM
boot
trap start_libvirtd USR1
"$python" -I "$here/meter.py" "$host/proc" &
start_libvirtd
/usr/sbin/sshd -D -e -f "$host/ssh/sshd_config" &
# Whatever dies here is reaped here. Without it QEMU stays a zombie, and each migration waits 40 s for its end.
while :; do wait -n || sleep 1; done
