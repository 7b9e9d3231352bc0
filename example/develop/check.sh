#!/bin/sh
# The commit hooks on every file, and the tests: both, whatever the hooks find. Nothing is changed.
#   check.sh FILE…   the hooks alone, on these: what a workspace calls
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
# shellcheck source=develop/tracked.sh
. develop/tracked.sh
if [ $# != 0 ]; then
    sh develop/tool.sh pre-commit run --files "$@"
    exit
fi
hooks=passed tests=passed
tracked '*' | xargs -0 sh develop/tool.sh pre-commit run --files || hooks=failed
(
    unset GIT_DIR GIT_WORK_TREE
    exec sh develop/tool.sh pytest
) || tests=failed
echo "check: hooks $hooks, tests $tests"
[ "$hooks $tests" = "passed passed" ]
