#!/bin/bash
# shellcheck disable=SC1091,SC2154
# The power button of a lab host. Its BMC calls: chassis.sh HOST_DIRECTORY 0x20 get power
#                                                chassis.sh HOST_DIRECTORY 0x20 set power|reset|shutdown 0|1
set -u
host=$1
here=$(dirname "$(readlink -f "$0")")
. "$host/host.env"
# By this variable in its environment a lab finds what it left behind.
export "${mark?}"

# What the BMC has open is handed down to us: a host that is started with its socket would hold the BMC's port for good.
for fd in /proc/$$/fd/*; do
    case ${fd##*/} in 0 | 1 | 2 | 255) ;; *) eval "exec ${fd##*/}>&-" ;; esac
done

# A PID alone may belong to a stranger by now; one inside the host's network namespace does not.
is_on() {
    pid=$(cat "$host/init.pid" 2>/dev/null) && [ "/proc/$pid/ns/net" -ef "/run/netns/$namespace" ]
}

switch_on() {
    is_on && return
    rm -f "$host/init.pid"
    setsid ip netns exec "$namespace" unshare --mount --uts --pid --fork "$here/host_init.sh" "$host" \
        </dev/null >>"$host/host.log" 2>&1 9>&- &
    for _ in $(seq 250); do is_on && return; sleep 0.02; done
}

switch_off() {
    is_on || return
    ip -n "$namespace" link set eth0 down
    kill -KILL "$pid"
    while is_on; do sleep 0.02; done
}

if [ "$2 $3" = "0x20 set" ]; then echo "$4 $5" >>"$host/power_orders"; fi
case "$3 $4 ${5:-}" in
    "get power "*) if is_on; then echo power:1; else echo power:0; fi ;;
    "set shutdown 1") if is_on; then kill -TERM "$pid"; fi ;;
    set\ *)
        exec 9>"$host/power.lock"
        flock 9
        case "$4 $5" in
            "power 1") switch_on ;;
            "power 0") switch_off ;;
            "reset 1") switch_off; switch_on ;;
        esac
        ;;
    *) echo "$4:0" ;;
esac
exit 0
