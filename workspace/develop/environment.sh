#!/bin/sh
# What the hooks of the workspace itself need, into .venv; each project has an environment of its own.
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
[ -z "${UV_PROJECT_ENVIRONMENT:-}" ] || exit 0 # the image of a project's devcontainer has it
if [ -f .venv/ready ] && [ "$(cat .venv/ready)" != "$(pwd -P)" ]; then
    rm -r .venv # it was made elsewhere
fi
[ ! -f uv.lock ] || locked=${CI:-} # CI takes the lock as it is, or not at all
sh develop/uv.sh sync --quiet ${locked:+--locked} --only-group workspace
