#!/bin/sh
# A tool of the locked environment: the image's in the devcontainer, .venv elsewhere.
tool=$1
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
shift
exec "${UV_PROJECT_ENVIRONMENT:-.venv}/bin/$tool" "$@"
