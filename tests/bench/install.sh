#!/bin/sh
# Fetches hbal and hsqueeze, which plans are compared with. Safe to run again and again. Where it may not install anything
# it says what is missing and still succeeds: the tables then say so, in the rows that want for it.
set -eu

command -v hbal >/dev/null && command -v hsqueeze >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "hbal is not installed: run $0 as root on Debian, or apt-get install ganeti-htools"
    exit 0
fi
[ -n "$(apt-cache search --names-only '^ganeti-htools$' 2>/dev/null)" ] || apt-get update -qq || true
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ganeti-htools >/dev/null ||
    echo "ganeti-htools could not be installed: its rows stay empty"
