#!/usr/bin/env bash
# The browser tests drive Chromium. Finds one, installs it where that needs no question (root on
# Debian or Ubuntu), else says how.
set -euo pipefail

for name in "${MOWE_CHROMIUM-}" chromium chromium-browser google-chrome; do
  if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "no Chromium found: installing it with apt-get"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium
  exit 0
fi
echo "The browser tests need Chromium: install it (Debian: sudo apt-get install chromium)" >&2
echo "or name one: MOWE_CHROMIUM=/path/to/chrome make test" >&2
exit 1
