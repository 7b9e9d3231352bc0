#!/bin/sh
# A tool of the locked environment: the image's in the devcontainer, .venv elsewhere. What is missing is installed first.
tool=$1
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
shift
bin=${UV_PROJECT_ENVIRONMENT:-.venv}/bin
[ -x "$bin/$tool" ] || sh develop/environment.sh dev >&2 || exit
exec "$bin/$tool" "$@"
