#!/bin/sh
# workspace.py: by the workspace's own Python, or in a devcontainer and in CI by what is there.
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
python=.venv/bin/python
[ -x "$python" ] || python=python3
exec "$python" develop/workspace.py "$@"
