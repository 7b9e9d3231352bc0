#!/bin/sh
# The flow on this machine, on the develop settings, and then its results; with RESUME, the last run from where it failed.
#   local.sh BRANCH PYTHON COMMAND
set -eu
root=var/develop/$1
export METAFLOW_HOME=production/profiles METAFLOW_PROFILE=develop METAFLOW_USER="${3##*/}"
export METAFLOW_DATASTORE_SYSROOT_LOCAL="$root" METAFLOW_CARD_LOCALROOT="$root/.metaflow/mf.cards"
if [ -n "${RESUME:-}" ]; then verb=resume; else verb=run; fi
"$2" production/flow.py --no-pylint $verb || {
    echo "develop: make develop RESUME=1 goes on from where it failed" >&2
    exit 1
}
exec "$3" results --stage develop
