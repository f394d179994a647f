# Sourced by check.sh. Runs the image as an engine would, from its own settings: user, environment, directory, commands.
# shellcheck shell=sh disable=SC2034,SC2086,SC2154  # settings are lists of words; $work is check.sh's

read_image() {
    container=$(buildah from --pull-never balancer:check)
    root=$(buildah mount "$container")
    mkdir -p "$work/state"
    chown 10001:10001 "$work/state"
    ENTRYPOINT=$(setting '{{range .OCIv1.Config.Entrypoint}}{{.}} {{end}}')
    HEALTHCHECK=$(setting '{{range .Docker.Config.Healthcheck.Test}}{{.}} {{end}}' | sed 's/^CMD //')
    image_user=$(setting '{{.OCIv1.Config.User}}')
    image_directory=$(setting '{{.OCIv1.Config.WorkingDir}}')
    image_environment=$(setting '{{range .OCIv1.Config.Env}}{{.}} {{end}}')
}

setting() { buildah inspect --type image --format "$1" balancer:check; }

image_settings() { buildah inspect --type image balancer:check; }

# Prints the command that becomes PID 1 in the image: its root read-only, its volume writable, its user the image's.
as_an_engine_would() {
    cat <<-SCRIPT
	set -e
	mount --bind "$root" "$root"
	mount --bind "$work/state" "$root/var/lib/balancer"
	mount --rbind /dev "$root/dev"
	mount -t proc proc "$root/proc"
	mount -o remount,bind,ro "$root"
	exec chroot --userspec="$image_user" "$root" /usr/bin/env -i -C "$image_directory" $image_environment "\$@"
	SCRIPT
}

in_image() { unshare --mount --pid --fork --kill-child sh -c "$(as_an_engine_would)" sh "$@"; }

start_in_image() {
    unshare --mount --pid --fork --kill-child sh -c "$(as_an_engine_would)" sh "$@" >"$work/output" 2>&1 &
    engine=$!
}

# Tells PID 1 of the image to stop, as an engine does; leaves its exit code in $code, never 0 where it had to be killed.
stop_in_image() {
    pid_1=$(cat "/proc/$engine/task/$engine/children")
    kill -TERM $pid_1
    wait_until 20 has_left $pid_1 || kill -KILL $pid_1
    code=0
    wait "$engine" || code=$?
    engine=
}

has_left() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

wait_until() {
    left=$1
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 1
    done
}

clean_up() {
    [ -z "${engine:-}" ] || kill "$engine" 2>/dev/null || true
    buildah umount --all >/dev/null 2>&1 || true
    buildah rm --all >/dev/null 2>&1 || true
    rm -rf "$work"
}
