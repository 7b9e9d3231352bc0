#!/bin/sh
# A library of one's own, into pyproject.toml, lock and environment, or out of them: what make add and make remove run.
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
verb=$1
[ -n "${PACKAGE:-}" ] || {
    echo "$verb: which library? make $verb PACKAGE=scikit-learn" >&2
    exit 2
}
# shellcheck disable=SC2086
sh develop/uv.sh "$verb" --quiet --no-sync ${GROUP:+--group "$GROUP"} $PACKAGE || {
    echo "$verb: nothing was changed; what belongs to a group, as test or dev, is named with GROUP=" >&2
    exit 1
}
sh develop/environment.sh "${GROUP:-runtime}"
echo "$verb: $PACKAGE: commit pyproject.toml and uv.lock"
