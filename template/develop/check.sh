#!/bin/sh
# The commit hooks on every file that git tracks or could; also where this folder is not the top of a git repository.
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
if [ "$(git rev-parse --show-toplevel 2>/dev/null)" != "$(pwd -P)" ]; then
    GIT_DIR=$(mktemp -d) GIT_WORK_TREE=$(pwd -P)
    export GIT_DIR GIT_WORK_TREE
    trap 'rm -rf "$GIT_DIR"' EXIT
    git init --quiet
fi
git ls-files -z --cached --others --exclude-standard |
    xargs -0 sh develop/tool.sh pre-commit run ${CI:+--show-diff-on-failure} --files
