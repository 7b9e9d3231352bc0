#!/bin/sh
# The verbs that need containers, or a stage where it is deployed: verb.sh VERB.
#   verb.sh local …    the command line here, on the database in its container
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
python=${UV_PROJECT_ENVIRONMENT:-.venv}/bin/python
[ -x "$python" ] || python=python3 # where nothing was set up, as in CI
export PYTHONPATH=src
exec "$python" -P -m burger_combos.ops.deploy "$@"
