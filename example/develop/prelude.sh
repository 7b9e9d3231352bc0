# Sourced first by each script: what the shell around it is set to must not lead to another project, Python or folder.
# shellcheck shell=sh
unset CDPATH GREP_OPTIONS TAR_OPTIONS
unset VIRTUAL_ENV CONDA_PREFIX CONDA_DEFAULT_ENV PYTHONHOME PYTHONPATH PYTHONIOENCODING PYTHONOPTIMIZE \
    PYTHONSAFEPATH MYPYPATH
unset PIP_PREFIX PIP_PYTHON PIP_ROOT PIP_TARGET PIP_USER
# What would make another environment of the same lock. Where uv finds packages, Python and its cache stays as it is set.
unset UV_DEV UV_FROZEN UV_LOCKED UV_NO_DEFAULT_GROUPS UV_NO_DEV UV_NO_EDITABLE UV_NO_GROUP UV_NO_INSTALL_LOCAL \
    UV_NO_INSTALL_PROJECT UV_NO_SOURCES UV_NO_SYNC UV_PROJECT UV_SYSTEM_PYTHON UV_WORKING_DIR UV_WORKING_DIRECTORY
unset UV_EXCLUDE_NEWER UV_FORK_STRATEGY UV_PRERELEASE UV_RESOLUTION
export PYTHONUTF8=1
# In a workspace the lock is its root's, two folders above.
root=.
# shellcheck disable=SC2034 # of those that source this
! grep -q '^folder: models/' "$(dirname "$0")/../.copier-answers.yml" 2>/dev/null || root=../..
[ "$(locale charmap 2>/dev/null)" = UTF-8 ] || export LC_ALL=C.UTF-8 # Python begins by reading paths in the locale's

# Where nothing can be kept in the home folder, what programs keep there is kept here.
if [ -n "${XDG_CACHE_HOME:-${HOME:-}}" ]; then
    cache=${XDG_CACHE_HOME:-$HOME/.cache}
    if ! { mkdir -p "$cache" && [ -w "$cache" ]; } 2>/dev/null; then
        here=$(cd "$(dirname "$0")/.." && pwd)/.venv-uv
        [ -d "$here/cache" ] || echo "setup: $cache cannot be written: downloads are kept in .venv-uv/cache" >&2
        export XDG_CACHE_HOME="$here/cache" XDG_DATA_HOME="$here/share" XDG_STATE_HOME="$here/state"
        mkdir -p "$XDG_CACHE_HOME"
    fi
fi
