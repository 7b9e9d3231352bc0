#!/bin/sh
# The hooks of each project on those of these files that lie in its folder: hooks.sh FILE…
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
case ${GIT_INDEX_FILE:-/} in
/*) ;;
*) export GIT_INDEX_FILE="$PWD/$GIT_INDEX_FILE" ;; # as git tells a hook, from here
esac
for project in $(printf '%s\n' "$@" | sed -n 's|^\(models/[^/]*\)/.*|\1|p' | sort -u); do
    [ -f "$project/develop/check.sh" ] || continue # it is no project of the template's
    (
        for file; do
            shift
            case $file in "$project"/*) set -- "$@" "${file#"$project"/}" ;; esac
        done
        echo "$project"
        exec sh "$project/develop/check.sh" "$@"
    ) || failed=1
done
exit "${failed:-0}"
