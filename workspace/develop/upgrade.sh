#!/bin/sh
# The newest versions of everybody's dependencies up to today, instead of the template's day, into the one lock.
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
today=$(date -u +%Y-%m-%dT00:00:00Z)
before=$(mktemp)
trap 'rm -f "$before"' EXIT
cp pyproject.toml "$before"
echo "upgrade: the newest versions of $today into uv.lock"
sed "s/^exclude-newer = .*/exclude-newer = \"$today\"/" "$before" >pyproject.toml
sh develop/uv.sh lock --quiet --upgrade || {
    cat "$before" >pyproject.toml
    exit 1
}
CI='' sh develop/environment.sh
CI='' sh develop/each.sh all setup
