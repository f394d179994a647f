#!/bin/sh
# Fetches the Alertmanager that silences are tried against. Where it may not install anything it says so and still
# succeeds: the tests then use the stand-in alone, and skip the others, naming it.
set -eu

command -v prometheus-alertmanager >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "the tests of silences lack an Alertmanager: apt-get install prometheus-alertmanager"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq --no-install-recommends prometheus-alertmanager >/dev/null 2>&1 ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus-alertmanager >/dev/null; } ||
    { echo "prometheus-alertmanager could not be installed: tests against a real one are skipped"; exit 0; }
# The package starts one for the whole machine, which the tests do not want.
systemctl disable --now prometheus-alertmanager >/dev/null 2>&1 || true
