#!/bin/sh
# Brings what the template's newest release brings, into the work tree: to be looked at, and committed.
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."

copier() { sh develop/uv.sh tool run --quiet --from 'copier>=9.11' copier "$@"; }

[ -z "$(git status --porcelain)" ] || {
    echo "update: there are changes that no commit holds: git commit, so that they and the template's stay apart" >&2
    exit 1
}
news=$(copier check-update --output-format json)
case $news in *'"update_available": true'*) ;; *) echo "update: this is the newest release" && exit ;; esac
code=0
copier update --defaults --conflict inline ${TRUST:+--trust} || code=$?
[ "$code" != 4 ] || # Copier's own: it would run a program of the template's, and is not told to trust it
    echo "update: look at hooks/migrate.py of the template, which this update runs, then make update TRUST=1" >&2
[ "$code" = 0 ] || exit "$code"
sh develop/setup.sh
! left=$(git grep -l '^<<<<<<< ') || printf '%s\n' "update: to be resolved, between <<<<<<< and >>>>>>>:" "$left"
