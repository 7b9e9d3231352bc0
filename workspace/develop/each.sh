#!/bin/sh
# A verb in PROJECT or, where it is done in all, in each project: each.sh [all] VERB…
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
all=
[ "$1" != all ] || { all=yes && shift; }
projects=$(sh develop/members.sh projects)
if [ -n "${PROJECT:-}" ]; then
    found=${PROJECT%/}
    printf '%s\n' "$projects" | grep -q -F -x -e "$found" || {
        printf '%s\n' "$*: PROJECT=$PROJECT is no project of this workspace, which has:" "${projects:-none}" >&2
        exit 2
    }
    exec "${MAKE:-make}" --no-print-directory -C "$found" "$@"
fi
[ -n "$all" ] || {
    printf '%s\n' "$*: in which project? PROJECT= names one of:" "${projects:-none}" >&2
    exit 2
}
passed='' failed=''
for project in $projects; do
    echo "── $project"
    if "${MAKE:-make}" --no-print-directory -C "$project" "$@"; then
        passed="$passed $project"
    else
        failed="$failed $project"
    fi
done
[ -z "$failed" ] || {
    echo "$*: failed in$failed${passed:+, passed in$passed}" >&2
    exit 1
}
