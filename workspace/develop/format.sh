#!/bin/sh
# Form and lint of packages, which `make format` mends as the hooks look at it; and notebooks, of which the project that
# they are in knows what git gets.
#   format.sh               mends what can be mended
#   format.sh stored FILE   git's filter: a notebook as a commit has it
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
stored)
    project=$(echo "$2" | sed -n 's|^\(models/[^/]*\)/.*|\1|p')
    [ ! -f "$project/develop/format.sh" ] || exec sh "$project/develop/format.sh" stored
    exec cat
    ;;
*)
    sh develop/tool.sh ruff check --fix packages || left=1
    sh develop/tool.sh ruff format packages || left=1
    exit "${left:-0}"
    ;;
esac
