# Sourced by check.sh. Makes the base and builds the Dockerfile on it, in a storage of its own under $work.
# shellcheck shell=sh disable=SC2046,SC2154  # options are words; $work is check.sh's

BASE=docker.io/library/debian:bookworm-slim

buildah() {
    BUILDAH_ISOLATION=chroot command buildah \
        --root "$work/storage" --runroot "$work/runroot" --storage-driver vfs "$@"
}

# Nothing is pulled: a plain Debian from its archive stands in under the name that FROM gives.
make_base() {
    echo "making a base with debootstrap ..."
    mirror=$(sed -n 's/^URIs: *//p; s/^deb  *\(\[[^]]*\]  *\)\{0,1\}\(http[^ ]*\).*/\2/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
    debootstrap --variant=minbase bookworm "$work/base" "${mirror:-http://deb.debian.org/debian}" >"$work/log" 2>&1 ||
        give_up "debootstrap: $(tail -n 1 "$work/log")"
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$work/base" / >/dev/null
    buildah commit --quiet "$container" "$BASE" >/dev/null
    buildah rm "$container" >/dev/null
    rm -rf "$work/base"
}

build_image() {
    echo "building the image ..."
    write_pip_settings
    buildah bud --quiet --pull=never --network=host --format docker --secret "id=pip,src=$work/pip.conf" \
        $(local_indexes | sed "s|.*|--volume &:&:ro|") \
        --volume /etc/ssl/certs/ca-certificates.crt:/run/machine-ca.crt:ro --tag balancer:check "$here/../.." >"$work/log" 2>&1 ||
        failed "the image does not build: $(tail -n 30 "$work/log")"
}

# The machine's pip settings, wherever they stand: they go to the build as a secret, never as a file of the image.
write_pip_settings() {
    echo "[global]" >"$work/pip.conf"
    python3 -m pip config list 2>/dev/null |
        sed -n "s/^.*\.\(index-url\|extra-index-url\|find-links\|trusted-host\|proxy\|no-index\)='\(.*\)'$/\1 = \2/p" |
        sort -u >>"$work/pip.conf"
    # The machine may trust an authority of its own; the base does not know it.
    echo "cert = /run/machine-ca.crt" >>"$work/pip.conf"
}

# Directories of this machine that the settings point at; the build has to see them.
local_indexes() {
    sed -n 's/^\(index-url\|extra-index-url\|find-links\) = //p' "$work/pip.conf" | tr ' ' '\n' |
        sed -n 's|^file://||; s|/simple/*$||; /^\//p' | sort -u
}

# Words that must not be found in the image: each address and path of the settings.
private_words() {
    sed -n 's/^[a-z-]* = //p' "$work/pip.conf" | tr ' ' '\n' | grep / | sort -u || true
}
