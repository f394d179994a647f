#!/bin/sh
# Fetches the browser that the tests of the pages drive. Where it may not install anything it says so and still succeeds:
# those tests then skip, naming it.
set -eu

command -v chromium >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "the tests of the pages in a browser lack chromium: apt-get install chromium"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1 ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } ||
    echo "chromium could not be installed: the tests of the pages in a browser are skipped"
