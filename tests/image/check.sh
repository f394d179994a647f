#!/bin/sh
# Builds the container image without an engine or a registry, and runs it as an engine would: not root, a read-only root
# file system, an own PID 1. Where it cannot run it says what is missing and succeeds, except where CI=true.
# shellcheck disable=SC2086,SC2154  # the image's commands are lists of words
set -eu

here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/image/building.sh
. "$here/building.sh"
# shellcheck source=tests/image/running.sh
. "$here/running.sh"

give_up() {
    echo "image check not run: $1"
    [ "${CI:-}" != true ] || exit 1
    exit 0
}

passed() { echo "ok: $1"; }

failed() {
    echo "FAILED: $1" >&2
    exit 1
}

install_tools() {
    command -v buildah >/dev/null && command -v debootstrap >/dev/null && return
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends buildah debootstrap >/dev/null
}

it_is_not_root() {
    [ "$(in_image /usr/bin/id -u)" = 10001 ] || failed "it runs as root"
    passed "it is not root"
}

it_says_its_version() {
    in_image $ENTRYPOINT --version | grep -q '^balancer [0-9]' || failed "balancer --version"
    passed "it says its version"
}

it_plans_the_embedded_site() {
    code=0
    in_image $ENTRYPOINT plan >"$work/said" || code=$?
    [ "$code" = 2 ] || failed "balancer plan left with $code, not with 2 (there is a plan): $(cat "$work/said")"
    passed "it plans: $(head -n 1 "$work/said")"
}

its_extras_are_inside() {
    in_image /opt/balancer/bin/python -c 'import libvirt, pyghmi, influxdb_client' || failed "an extra is missing"
    passed "libvirt, ipmi and influx are inside"
}

nothing_of_this_machine_is_inside() {
    [ ! -e "$root/etc/pip.conf" ] || failed "pip settings are in the image"
    [ -z "$(ls -A "$root/run/secrets" 2>/dev/null)" ] || failed "secrets are in the image"
    [ ! -e "$root/opt/balancer/bin/pip" ] || failed "pip is in the image"
    for word in $(private_words); do
        ! image_settings | grep -qF -- "$word" || failed "its settings or history say $word"
        found=$(grep -rlF -- "$word" "$root/etc" "$root/opt" "$root/root" "$root/home" "$root/var/lib/balancer" || true)
        [ -z "$found" ] || failed "$word is said in $found"
    done
    passed "no pip settings and no secrets are inside"
}

the_day_stops_on_sigterm() {
    start_in_image $ENTRYPOINT run
    wait_until 60 grep -q '^00:' "$work/output" || failed "the embedded day does not begin: $(cat "$work/output")"
    stop_in_image
    [ "$code" = 0 ] || failed "the embedded day left with $code on SIGTERM: $(tail -n 5 "$work/output")"
    passed "the embedded day stops on SIGTERM"
}

# Nobody listens at that port: the service has to live with a host that does not answer.
the_service_runs_and_stops_on_sigterm() {
    [ -n "$HEALTHCHECK" ] || failed "the image has no health check"
    cat >"$work/state/site.yaml" <<-SITE
	schema: balancer.site/1
	cluster: image
	platform: {kind: libvirt}
	hosts: [{name: hv1, uri: "qemu+tcp://127.0.0.1:9/system"}]
	SITE
    start_in_image env BALANCER_SITE=/var/lib/balancer/site.yaml $ENTRYPOINT run
    wait_until 60 in_image $HEALTHCHECK || failed "the service does not get well: $(cat "$work/output")"
    passed "the service is well"
    stop_in_image
    [ "$code" = 0 ] || failed "the service left with $code on SIGTERM: $(tail -n 5 "$work/output")"
    passed "the service stops on SIGTERM"
}

[ "$(id -u)" = 0 ] || give_up "it needs root"
command -v apt-get >/dev/null || give_up "it needs Debian"
unshare --mount --pid --fork true 2>/dev/null || give_up "it needs namespaces of its own"
install_tools || give_up "buildah and debootstrap cannot be installed"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/balancer-image.XXXXXX")
trap clean_up EXIT
trap 'exit 130' INT TERM
make_base
build_image
read_image
it_is_not_root
it_says_its_version
its_extras_are_inside
it_plans_the_embedded_site
nothing_of_this_machine_is_inside
the_day_stops_on_sigterm
the_service_runs_and_stops_on_sigterm
