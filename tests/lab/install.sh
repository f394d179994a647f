#!/bin/sh
# Fetches what the lab needs: the Debian packages in packages.txt and a kernel for its guests. Safe to run again and again.
# Where it may not install anything it says what is missing and still succeeds: the lab's tests then skip, naming it.
set -eu

here=$(dirname "$(readlink -f "$0")")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/balancer-lab
# The order is that of loading: each module's dependencies come before it.
modules="button evdev virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk virtio_balloon"
# Each host mounts its own directories over these. The package that would make them also enables system services.
mount_points="/etc/libvirt /etc/pki /var/lib/libvirt /var/log/libvirt /var/cache/libvirt"

missing_packages() {
    while read -r package; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done <"$here/packages.txt"
}

missing_mount_points() {
    for directory in $mount_points; do [ -d "$directory" ] || echo "$directory"; done
}

# The order of the modules is written last, so it says that all the rest is there.
missing_kernel() {
    [ -s "$cache/modules/order" ] || echo "guest-kernel"
}

missing() {
    missing_packages
    missing_mount_points
    missing_kernel
}

# No package may start a daemon of the machine's own: the lab runs libvirtd only inside its namespaces.
forbid_services() {
    [ -e /usr/sbin/policy-rc.d ] && return
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
}

install_packages() {
    [ -n "$1" ] || return 0
    forbid_services
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $1 >/dev/null
}

# The name behind the meta-package, for example linux-image-6.1.0-40-cloud-amd64.
kernel_package() {
    apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

fetch_kernel() {
    work=$(mktemp -d)
    # apt downloads as a user of its own, who has to be let in.
    chmod 777 "$work"
    (cd "$work" && apt-get download -qq "$(kernel_package)" && dpkg -x ./*.deb unpacked)
    mkdir -p "$cache/modules"
    cp "$work"/unpacked/boot/vmlinuz-* "$cache/vmlinuz"
    for module in $modules; do
        cp "$(find "$work/unpacked/lib/modules" -name "$module.ko")" "$cache/modules/"
    done
    for module in $modules; do echo "$module.ko"; done >"$cache/modules/order"
    rm -rf "$work"
}

lacks=$(missing)
[ -n "$lacks" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "the lab lacks: $lacks" | xargs
    echo "run $0 as root on Debian to install them"
    exit 0
fi
[ -n "$(kernel_package)" ] || apt-get update -qq
install_packages "$(missing_packages)"
[ -z "$(missing_kernel)" ] || fetch_kernel
# shellcheck disable=SC2086
mkdir -p $mount_points
