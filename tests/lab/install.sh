#!/bin/sh
# Fetches what the lab needs: the Debian packages in packages.txt and a kernel for its guests. Safe to run again and again.
# Where it may not install anything it says what is missing and still succeeds: the lab's tests then skip, naming it.
set -eu

here=$(dirname "$(readlink -f "$0")")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/balancer-lab
# The order is that of loading: each module's dependencies come before it.
modules="button evdev virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk virtio_balloon"
# Mount points for each host's own libvirt directories.
mount_points="/etc/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt"

missing_packages() {
    while read -r package; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done <"$here/packages.txt"
}

has_kernel() {
    [ -s "$cache/vmlinuz" ] && [ -s "$cache/modules/order" ]
}

has_mount_points() {
    for directory in $mount_points; do [ -d "$directory" ] || return 1; done
}

# No package may start a daemon of the machine's own: the lab runs libvirtd only inside its namespaces.
forbid_services() {
    [ -e /usr/sbin/policy-rc.d ] && return
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
}

install_packages() {
    forbid_services
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $1 >/dev/null ||
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends $1 >/dev/null; }
}

fetch_kernel() {
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    [ -n "$package" ] || { echo "the lab lacks a guest kernel: apt knows no linux-image-cloud-amd64" >&2; return; }
    work=$(mktemp -d)
    chmod 755 "$work"
    (cd "$work" && apt-get download -qq "$package" 2>/dev/null && dpkg -x ./*.deb unpacked)
    mkdir -p "$cache/modules"
    for module in $modules; do
        find "$work/unpacked/lib/modules" -name "$module.ko" -exec cp {} "$cache/modules/" \;
    done
    cp "$work"/unpacked/boot/vmlinuz-* "$cache/vmlinuz"
    for module in $modules; do echo "$module.ko"; done >"$cache/modules/order"
    rm -rf "$work"
}

packages=$(missing_packages)
if [ -z "$packages" ] && has_kernel && has_mount_points; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "the lab lacks: $(echo $packages) $(has_kernel || echo 'a guest kernel')"
    echo "run this script as root on Debian to install them"
    exit 0
fi
if [ -n "$packages" ]; then install_packages "$(echo $packages)"; fi
has_kernel || fetch_kernel
# shellcheck disable=SC2086
mkdir -p $mount_points
