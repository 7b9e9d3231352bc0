#!/bin/sh
# As much of uv.lock's environment as is needed: the runtime, one group of pyproject.toml, and what is there already.
#   environment.sh [all]      everything
#   environment.sh runtime    what a run needs
#   environment.sh GROUP      that, and what the group names: the tests, a notebook, the tools of a check
#   environment.sh upgrade    everything, in the newest versions up to today instead of the template's day
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
venv=${UV_PROJECT_ENVIRONMENT:-.venv}
what=${1:-all}
ready=$venv/ready-$what
# Of a library with a build for processors and one for GPUs there are two groups, of which the image names one.
build=
if grep -q '^cuda = \[' pyproject.toml; then
    build=${TORCH:-$(sed -n 's/^ARG TORCH=//p' Dockerfile 2>/dev/null || true)}
    case ${build:=cpu} in
    cpu | cuda) ;;
    *)
        echo "setup: TORCH is $build: cpu or cuda is expected, here or by ARG TORCH in Dockerfile" >&2
        exit 1
        ;;
    esac
fi
[ -z "$build" ] || [ "$build" = "$(cat "$venv/build" 2>/dev/null)" ] || rm -f "$ready"
if [ "$what" != all ] && [ -e "$ready" ] && [ -z "$(find pyproject.toml "$root/pyproject.toml" "$root/uv.lock" develop/environment.sh -newer "$ready" 2>&1)" ]; then
    exit 0 # make setup has installed it meanwhile
fi
[ "$venv" = .venv ] || [ "$what" = upgrade ] || what=all # the devcontainer's image has everything

say() { printf 'setup: %s\n' "$*"; }

case $venv:$(pwd -P) in
.venv:*:*)
    say "no environment can be in a folder with a colon in its path: move the project" >&2
    exit 1
    ;;
esac

if [ "$venv" = .venv ] && [ -f .venv/ready ] && [ "$(cat .venv/ready)" != "$(pwd -P)" ]; then
    rm -r .venv # it was made elsewhere
fi

sh develop/uv.sh --version >/dev/null # says so where it has to be brought first

# The image's Python, where this machine has it.
wanted=$(sed -n 's/^FROM python:\([0-9.]*\).*/\1/p' Dockerfile 2>/dev/null || true)
if [ -n "$wanted" ] && [ -z "${UV_PYTHON:-}" ] && sh develop/uv.sh python find --system --no-python-downloads "$wanted" >/dev/null 2>&1; then
    export UV_PYTHON="$wanted"
fi

# uv removes what it is not told of, so it is told of all that is there: of each group there is a file ready-GROUP.
case $what in
all | upgrade) more="all dev notebook test deploy" ;;
runtime) more= ;;
*) more=$what ;;
esac
there=$(find "$venv/" -maxdepth 1 -name 'ready-*' 2>/dev/null | sed 's/.*ready-//')
groups="--no-default-groups --group platform"
for group in $there $more; do
    [ "$group" != all ] || groups=${groups#--no-default-groups }
    [ "$group" = feast ] || ! grep -q "^$group = \[" pyproject.toml || groups="$groups --group $group"
done
[ "$build" != cpu ] || groups="$groups --no-group cuda --group cpu"
[ "$build" != cuda ] || groups="$groups --no-group cpu --group cuda"

if [ "$what" = upgrade ]; then
    today=$(date -u +%Y-%m-%dT00:00:00Z)
    say "the newest versions of $today into uv.lock and $venv"
    cp "$root/pyproject.toml" "$venv/pyproject.toml"
    sed "s/^exclude-newer = .*/exclude-newer = \"$today\"/" "$venv/pyproject.toml" >"$root/pyproject.toml"
    # shellcheck disable=SC2086
    sh develop/uv.sh sync --upgrade $groups || {
        cp "$venv/pyproject.toml" "$root/pyproject.toml"
        exit 1
    }
else
    case $what in
    all) say "the environment of uv.lock into $venv" ;;
    runtime) say "what a run needs of uv.lock into $venv" ;;
    *) say "the group $what of uv.lock into $venv" ;;
    esac
    [ ! -f "$root/uv.lock" ] || locked=${CI:-} # CI takes the lock as it is, or not at all
    # shellcheck disable=SC2086
    sh develop/uv.sh sync --quiet ${locked:+--locked} $groups
fi
if grep -q "^feast = \[" pyproject.toml; then # apart: other libraries import pandas where it is
    # shellcheck disable=SC2086
    UV_PROJECT_ENVIRONMENT=$venv-feast sh develop/uv.sh sync --quiet ${locked:+--locked} --only-group feast
elif [ -d .venv-feast ]; then
    rm -r .venv-feast # the answer was taken back
fi
if [ "$what" = runtime ] && [ ! -e "$venv/ready" ]; then
    # Python compiles a library at its first import, longer than the first run takes: another core begins with the last.
    package=$(sed -n 's/^name = "\(.*\)"$/\1/p' pyproject.toml | head -n 1 | tr - _)
    "$venv/bin/python" -c "import jinja2, pygal, $package.pipeline" </dev/null >/dev/null 2>&1 &
fi
for group in $more; do
    : >"$venv/ready-$group"
done
[ -z "$build" ] || echo "$build" >"$venv/build"
for ready in "$venv"/ready*; do
    [ ! -e "$ready" ] || touch "$ready"
done
