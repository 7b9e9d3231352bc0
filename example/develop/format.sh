#!/bin/sh
# Form, lint and notebooks. `make format` mends them; a commit hook only looks, and says what to do.
#   format.sh                           mends what can be mended, in every file
#   format.sh form|lint|output FILE…    finds what is to be mended in these
#   format.sh strip FILE…               takes out the output that the last one finds
#   format.sh stored                    git's filter: a notebook as a commit has it
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."

tool() { sh develop/tool.sh "$@"; }

fail() {
    echo "$*"
    exit 1
}

# Notebooks without output, counts, and what the kernel and the editor that ran them last say of themselves.
stripped() {
    keys=metadata.kernelspec
    for key in codemirror_mode file_extension mimetype nbconvert_exporter pygments_lexer version; do
        keys="$keys metadata.language_info.$key"
    done
    tool nbstripout --extra-keys "$keys" "$@"
}

# What is wrong with these notebooks as git has them, a line each, or as it would take them. Their files may have output
# where the filter keeps it out of commits.
found() {
    seen=$(mktemp -d) within=
    if [ "$root" != . ]; then # a hook looks at this folder alone, and the commit is the workspace's
        unset GIT_DIR GIT_WORK_TREE
        [ -z "${HOOK_INDEX:-}" ] || export GIT_INDEX_FILE="$HOOK_INDEX"
        within=$(git rev-parse --show-prefix 2>/dev/null || true)
    fi
    git checkout-index --quiet --prefix="$seen/" -- "$@" 2>/dev/null || true
    for file; do
        shift
        if [ ! -e "$seen/$within$file" ]; then
            ! git config --local filter.nbstripout.clean >/dev/null || continue
            mkdir -p "$(dirname "$seen/$within$file")"
            cp "$file" "$seen/$within$file"
        fi
        set -- "$@" "$seen/$within$file"
    done
    [ $# = 0 ] || stripped --verify "$@" 2>&1 | sed -n "s|$seen/$within||; s|^Dry run: would have stripped ||p; s|^[CN]o.*'\(.*\)'.*|\1: no notebook|p"
    rm -r "$seen"
}

case ${1:-all} in
all)
    # shellcheck source=develop/tracked.sh
    . develop/tracked.sh
    tool ruff check --fix || left=1
    tool ruff format || left=1
    tracked '*.ipynb' | xargs -0 sh develop/format.sh strip
    exit "${left:-0}"
    ;;
form)
    shift
    tool ruff format --check --force-exclude "$@" || fail "make format mends this"
    ;;
lint)
    shift
    tool ruff check --force-exclude "$@" || fail "make format mends what is marked with [*]"
    ;;
output)
    shift
    wrong=$(found "$@")
    [ -z "$wrong" ] || fail "$wrong
There is output in these, or what a kernel says of itself: make format takes it out, and git add what it leaves."
    ;;
strip)
    shift
    found "$@" | while read -r file; do
        stripped "$file"
        echo "$file: without output"
    done
    ;;
stored)
    [ -x "${UV_PROJECT_ENVIRONMENT:-.venv}/bin/nbstripout" ] || exec cat # the hook will tell
    stripped
    ;;
esac
