#!/bin/sh
# Environment, git repository and hooks, as far as they are missing; says why where it leaves something out. What of the
# environment, develop/environment.sh tells: everything, unless something else is named.
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
# shellcheck source=develop/template.sh
. develop/template.sh
venv=${UV_PROJECT_ENVIRONMENT:-.venv}

say() { printf 'setup: %s\n' "$*"; }

sh develop/environment.sh "$@"
wanted=$(sed -n 's/^FROM python:\([0-9.]*\).*/\1/p' Dockerfile 2>/dev/null || true)
found=$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ -n "$wanted" ] && [ "$found" != "$wanted" ]; then
    say "Python $found here, $wanted in the image (sh develop/uv.sh python install $wanted, and make setup again, make them one)"
fi

# A repository of its own: not the one that happens to lie above, unless that one keeps these files.
fatal=$(LC_ALL=C git rev-parse --git-dir 2>&1 | sed -n 's/^fatal: //p')
if ! command -v git >/dev/null; then
    say "no git here: no repository, and runs will not know their commit"
elif [ -n "$fatal" ] && [ "${fatal#"not a git repository (or any"}" = "$fatal" ]; then
    say "no first commit and no hook: git refuses, $fatal (git status says what to do)"
elif [ "$root" != . ]; then
    : # the workspace's, see below
elif [ -n "$fatal" ] || git check-ignore --quiet .; then
    git init --quiet --initial-branch=main
    say "a new git repository"
fi
top=$(git rev-parse --show-toplevel 2>/dev/null || true)
# A folder of this machine is no address for others; what is committed already is left as it is.
fresh=
[ -z "$top" ] || fresh=$(git status --porcelain -- $answers)
[ -n "$top" ] || [ "$root" = . ] || fresh=yes # the workspace begins its repository below
source=$(answer _src_path)
if [ -z "${SOURCE:-}" ] && [ -n "$fresh" ] &&
    place=$(place "$source") && [ "$place" != "$source" ]; then
    follow "$place"
    say "$answers names the template's address now: $place"
fi
if [ "$root" != . ]; then
    sh "$root/develop/setup.sh" # its repository and hooks
elif [ -n "$top" ] && [ "$top" != "$(pwd -P)" ]; then
    say "part of the repository in $top: its commits and hooks are left to you"
elif [ -n "$top" ]; then
    # Before the first commit: what a notebook puts out stays in its file, and out of git.
    git config filter.nbstripout.clean "sh develop/format.sh stored %f"
    say "the git filter by which notebooks are committed without output"
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
