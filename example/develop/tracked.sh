# Sourced by what looks at every file that git tracks or could; also where this folder is not the top of a git repository.
# shellcheck shell=sh
if [ "$(git rev-parse --show-toplevel 2>/dev/null)" != "$(pwd -P)" ]; then
    GIT_DIR=$(mktemp -d) GIT_WORK_TREE=$(pwd -P)
    export GIT_DIR GIT_WORK_TREE
    # What is about to be committed stands in an index of the repository above, of which format.sh asks.
    [ -z "${GIT_INDEX_FILE:-}" ] || export HOOK_INDEX="$GIT_INDEX_FILE"
    unset GIT_INDEX_FILE
    trap 'rm -rf "$GIT_DIR"' EXIT
    git init --quiet
fi

# Those of a pattern, with a zero byte after each.
tracked() { git ls-files -z --cached --others --exclude-standard -- "$@"; }
