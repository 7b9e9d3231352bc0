#!/bin/sh
# Environment, git repository and hooks, as far as they are missing; says why where it leaves something out.
# With `upgrade`: newer versions of all dependencies, up to today instead of the template's day.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=develop/template.sh
. develop/template.sh
venv=${UV_PROJECT_ENVIRONMENT:-.venv}

say() { printf 'setup: %s\n' "$*"; }

if [ "$venv" = .venv ] && [ -f .venv/ready ] && [ "$(cat .venv/ready)" != "$(pwd -P)" ]; then
    rm -r .venv # it was made elsewhere
fi

sh develop/uv.sh --version >/dev/null # says so where it has to be brought first

# The image's Python, where this machine has it.
wanted=$(sed -n 's/^FROM python:\([0-9.]*\).*/\1/p' Dockerfile 2>/dev/null || true)
if [ -n "$wanted" ] && [ -z "${UV_PYTHON:-}" ] && sh develop/uv.sh python find --system --no-python-downloads "$wanted" >/dev/null 2>&1; then
    export UV_PYTHON="$wanted"
fi

if [ "${1:-}" = upgrade ]; then
    today=$(date -u +%Y-%m-%dT00:00:00Z)
    say "the newest versions of $today into uv.lock and $venv"
    cp pyproject.toml "$venv/pyproject.toml"
    sed "s/^exclude-newer = .*/exclude-newer = \"$today\"/" "$venv/pyproject.toml" >pyproject.toml
    sh develop/uv.sh sync --upgrade || {
        cp "$venv/pyproject.toml" pyproject.toml
        exit 1
    }
else
    say "the environment of uv.lock into $venv"
    [ ! -f uv.lock ] || locked=${CI:-} # CI takes the lock as it is, or not at all
    sh develop/uv.sh sync --quiet ${locked:+--locked}
fi
found=$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ -n "$wanted" ] && [ "$found" != "$wanted" ]; then
    say "Python $found here, $wanted in the image (sh develop/uv.sh python install $wanted, and make setup again, make them one)"
fi

# A repository of its own: not the one that happens to lie above, unless that one keeps these files.
if ! command -v git >/dev/null; then
    say "no git here: no repository, and runs will not know their commit"
elif ! git rev-parse --git-dir >/dev/null 2>&1 || git check-ignore --quiet .; then
    git init --quiet --initial-branch=main
    say "a new git repository"
fi
top=$(git rev-parse --show-toplevel 2>/dev/null || true)
# A folder of this machine is no address for others; what is committed already is left as it is.
source=$(answer _src_path)
if [ -z "${SOURCE:-}" ] && [ -n "$top" ] && [ -n "$(git status --porcelain -- $answers)" ] &&
    place=$(place "$source") && [ "$place" != "$source" ]; then
    follow "$place"
    say "$answers names the template's address now: $place"
fi
if [ -n "$top" ] && [ "$top" != "$(pwd -P)" ]; then
    say "part of the repository in $top: its commits and hooks are left to you"
elif [ -n "$top" ]; then
    if git rev-parse --quiet --verify HEAD >/dev/null; then
        say "git has commits already: none made"
    elif git config user.email >/dev/null && git config user.name >/dev/null; then
        git add --all
        if git commit --quiet --no-verify --message "Begin from copier-ml"; then
            say "the first commit"
        else
            say "no first commit: git refused it"
        fi
    else
        say "no first commit: git does not know you. Tell it, and make setup again:"
        printf '    %s\n' 'git config --global user.name "Your Name"' 'git config --global user.email you@example.org'
    fi
    if [ -n "$(git config core.hooksPath || true)" ]; then
        say "no pre-commit hook: core.hooksPath of git is set, so the hooks are somebody else's"
    else
        hook=$(git rev-parse --git-path hooks/pre-commit)
        if [ -e "$hook" ] && ! grep -q pre-commit "$hook"; then
            say "git has a pre-commit hook already: left as it is"
        else
            mkdir -p "$(dirname "$hook")"
            printf '%s\n' '#!/bin/sh' 'exec sh develop/tool.sh pre-commit run' >"$hook"
            chmod +x "$hook"
            say "the pre-commit hook"
        fi
    fi
fi
pwd -P >"$venv/ready"
