#!/bin/busybox sh
# shellcheck shell=dash
# PID 1 of a lab guest. Each second it says on its first serial port who it is and how far it has counted:
#
#     lab boot=5f0c... tick=12 load=30 memory=0
#
# Orders come in as lines on the second serial port: "load PERCENT" (of one CPU), "memory MIB" (rewrite that much
# without end; 0 stops) and "poweroff". The counter lines show what is in force, so whoever sends an order sees it obeyed.

/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tmpfs -o size=90% work /work
while read -r module; do insmod "/modules/$module"; done </modules/order

burn=/sys/fs/cgroup/burn

# One endless loop for each CPU; the kernel's own bandwidth control keeps them together at the wanted share.
start_burning() {
    echo +cpu >/sys/fs/cgroup/cgroup.subtree_control
    mkdir $burn
    echo 1 >$burn/cgroup.freeze
    for _ in $(seq "$(nproc)"); do
        sh -c "echo 0 >$burn/cgroup.procs; while :; do :; done" &
    done
}

burn_percent() {
    [ "$1" -gt 0 ] && echo "$(($1 * 1000)) 100000" >$burn/cpu.max
    echo $(($1 == 0)) >$burn/cgroup.freeze
    echo "$1" >/work/load
}

rewrite_memory() {
    [ -n "$writer" ] && kill -9 "$writer"
    writer=
    [ "$1" -eq 0 ] && rm -f /work/dirty
    if [ "$1" -gt 0 ]; then
        (while :; do dd if=/dev/urandom of=/work/dirty bs=1M count="$1" conv=notrunc 2>/dev/null; done) &
        writer=$!
    fi
    echo "$1" >/work/memory
}

obey_orders() {
    stty -F /dev/ttyS1 -echo
    while read -r order value; do
        case $order in
            load) burn_percent "$value" ;;
            memory) rewrite_memory "$value" ;;
            poweroff) poweroff -f ;;
        esac
    done </dev/ttyS1
}

# What the hypervisor's "shutdown" presses.
obey_power_button() {
    for name in /sys/class/input/event*/device/name; do
        [ "$(cat "$name")" = "Power Button" ] || continue
        event=${name%/device/name}
        head -c 24 "/dev/input/${event##*/}" >/dev/null && poweroff -f
    done
}

# A guest with a disk notes there how far it has counted, and says at boot what it found: so a disk proves that it came along.
note_on_disk() {
    echo "$1" | dd of=/dev/vda bs=512 count=1 conv=sync,notrunc oflag=direct 2>/dev/null
}

tell_what_is_on_disk() {
    note=$(dd if=/dev/vda bs=512 count=1 2>/dev/null | tr -d '\0')
    [ -n "$note" ] && echo "lab found $note"
}

read -r boot </proc/sys/kernel/random/boot_id
start_load=$(sed -n 's/.*\<load=\([0-9]*\).*/\1/p' /proc/cmdline)
echo 0 >/work/memory
start_burning
burn_percent "${start_load:-0}"
obey_orders &
obey_power_button &
[ -b /dev/vda ] && tell_what_is_on_disk

tick=0
while :; do
    tick=$((tick + 1))
    read -r load </work/load
    read -r memory </work/memory
    [ -b /dev/vda ] && note_on_disk "boot=$boot tick=$tick"
    echo "lab boot=$boot tick=$tick load=$load memory=$memory"
    sleep 1
done
