#!/bin/sh
# The tests of each package that has a folder tests, in an environment of its own, where its group dev has pytest.
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
for tests in packages/*/tests; do
    [ -d "$tests" ] || continue
    package=${tests%/tests}
    echo "── $package"
    UV_PROJECT_ENVIRONMENT="$PWD/$package/.venv" sh develop/uv.sh run --quiet ${CI:+--locked} --project "$package" \
        python -m pytest -q "$tests" || failed="${failed:-} $package"
done
[ -z "${failed:-}" ] || {
    echo "test: failed in$failed" >&2
    exit 1
}
