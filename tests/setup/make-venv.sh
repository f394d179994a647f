#!/bin/sh
# Make a virtual environment. Debian keeps venv in a package of its own: it is installed where that is allowed.
set -eu
python=$1 venv=$2
if "$python" -m venv "$venv" 2>/dev/null; then exit 0; fi
rm -rf "$venv"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "python3-venv is missing, installing it"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
fi
"$python" -m venv "$venv" || { echo "no virtual environment could be made: install python3-venv" >&2; exit 1; }
