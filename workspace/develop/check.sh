#!/bin/sh
# What belongs to no project: the commit hooks on every file of it, and the tests of packages. Nothing is changed.
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
sh develop/members.sh check
# shellcheck source=develop/tracked.sh
. develop/tracked.sh
hooks=passed tests=passed
export SKIP=projects # each of them checks its own
tracked . ':!models' | xargs -0 sh develop/tool.sh pre-commit run --files || hooks=failed
(
    unset GIT_DIR GIT_WORK_TREE
    exec sh develop/packages.sh
) || tests=failed
echo "check: hooks of the workspace $hooks, tests of packages $tests"
[ "$hooks $tests" = "passed passed" ]
