#!/bin/sh
# The browser tests need a Chromium: the machine's own, else Playwright's, else the system package where we may install it.
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done
.venv/bin/python -m playwright install chromium >/dev/null 2>&1 && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && apt-get install -y -qq chromium >/dev/null 2>&1 && exit 0
fi
echo "No Chromium found or installed: the browser tests will be skipped, and say so."
