#!/bin/sh
# uv: the one on the PATH, or one of the project's own from PyPI.
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    uv=$(dirname "$0")/../.venv-uv/bin/uv
    if [ ! -x "$uv" ]; then
        echo "uv: not installed here: a copy of it into .venv-uv" >&2
        python3 -m venv "${uv%/bin/uv}" || {
            echo "uv: this Python cannot make environments: install uv, or Debian's python3-venv" >&2
            exit 1
        }
        "${uv%uv}python" -m pip install --no-user --quiet --disable-pip-version-check 'uv>=0.9'
    fi
fi
# Of a workspace uv would make one environment for all; each project has one of its own, in its folder.
if [ "$root" != . ]; then
    case ${UV_PROJECT_ENVIRONMENT:=.venv} in
    /*) ;;
    *) UV_PROJECT_ENVIRONMENT=$(cd "$(dirname "$0")/.." && pwd -P)/$UV_PROJECT_ENVIRONMENT ;;
    esac
    export UV_PROJECT_ENVIRONMENT
fi
exec "$uv" "$@"
