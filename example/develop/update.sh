#!/bin/sh
# Brings what the template's newest release brings, or another answer at the present one, into the work tree: to be
# looked at, and committed.
#   update.sh                     the newest release; SOURCE= is another address of the template, TRUST=1 trusts it
#   update.sh answer NAME=VALUE   another answer; alone, the present ones
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
# shellcheck source=develop/template.sh
. develop/template.sh

verb=update
[ "${1:-}" != answer ] || verb=answer

fail() {
    echo "$verb: $*" >&2
    exit 1
}

# Copier; of one that breaks off, the last line says why.
copier() {
    code=0
    sh develop/uv.sh tool run --quiet --from 'copier>=9.11' copier "$@" 2>"$made/said" || code=$?
    if grep -q '^Traceback' "$made/said"; then
        tail -n 1 "$made/said" | sed "s/^[A-Za-z.]*Error: //; s/^/$verb: /" >&2
    else
        cat "$made/said" >&2
    fi
    return "$code"
}

# Where git finds what Copier knows by this name.
repository() {
    case $1 in
    gh:*) echo "https://github.com/${1#gh:}" ;;
    gl:*) echo "https://gitlab.com/${1#gl:}" ;;
    *) echo "${1#git+}" ;;
    esac
}

# Why nothing can come from there, and exit code 0.
obstacle() {
    case $1 in
    "") echo "says nothing" && return ;;
    *://* | *@*:* | gh:* | gl:*) ;;
    *) [ -d "$1" ] || { echo "is $1, a folder that is not on this machine" && return; } ;;
    esac
    if ! releases=$(git ls-remote --tags --refs -- "$(repository "$1")" 2>&1); then
        said=$(printf '%s\n' "$releases" | sed -n 's/^\(fatal\|error\|ERROR\): //p' | head -n 1)
        echo "is $1, where git finds no repository (${said:-git ls-remote says why})"
    elif ! printf '%s\n' "$releases" | grep -q 'refs/tags/v\{0,1\}[0-9]'; then
        echo "is $1, which has no release: no tag as 1.0.0"
    else
        case $before in
        *-g*) return 1 ;; # of a commit between two releases, which only Copier finds
        *) ! printf '%s\n' "$releases" | sed 's|.*refs/tags/||' | grep -q -F -x -e "$before" || return 1 ;;
        esac
        echo "is $1, which does not have $before, the release of this project"
    fi
}

# What is given to make, which exports it, or to this script, as Copier's options, each of them quoted.
given() {
    case ${MAKEFLAGS:-} in
    *"-- "*)
        printf '%s\n' "${MAKEFLAGS#*-- }" | sed 's/\\./_/g' | tr ' ' '\n' | sed -n 's/^\([^=]*\)=.*/\1/p' |
            while read -r name; do
                case $name in SOURCE | TRUST) ;; *) option "$name=$(printenv "$name")" ;; esac
            done
        ;;
    esac
    for each; do option "$each"; done
}

option() {
    case $1 in
    package=*) fail "the package keeps its name" ;;
    example=*) fail "a project keeps the example it began with, as its files are yours now: generate another project to see another example" ;;
    *=*) printf " --data '%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
    *) fail "$1 is no answer, which is NAME=VALUE" ;;
    esac
}

# make upgrade and releases both move the day of the lock: of two the later one is no conflict.
settle_day() {
    awk '!held && /^<<<<<<< / { line[held = 1] = $0; next }
        !held { print; next }
        { line[++held] = $0 }
        held == 5 && line[2] line[4] ~ /^exclude-newer = .*exclude-newer = / && line[3] == "=======" && /^>>>>>>> / {
            print (line[2] > line[4] ? line[2] : line[4])
            held = 0
        }
        held == 5 { for (each = 1; each <= 5; each++) print line[each]; held = 0 }
        END { for (each = 1; each <= held; each++) print line[each] }' pyproject.toml >"$made/settled"
    cmp -s pyproject.toml "$made/settled" || cat "$made/settled" >pyproject.toml
    grep -q '^<<<<<<< ' pyproject.toml || git reset --quiet -- pyproject.toml
}

# What an answer has been so far.
former() {
    git show "HEAD:./$answers" | sed -n "s/^$1: //p"
}

# What another answer asks for in settings.toml and in tests, which are the owner's and stay as they are.
advise() {
    if [ "$(answer features)" = feast ] && [ "$(former features)" != feast ] && ! grep -qrE 'Database\(|FEAST_URL' tests; then
        echo "$verb: tests that run the pipeline would write to develop's feature store: give them Database(url=...) alone" \
            "(docs/feast.md)"
    fi
    was=$(former database) now=$(answer database)
    if [ "$was" = "$now" ]; then
        return
    elif [ "$now" = postgresql ]; then
        echo "$verb: your data comes from where settings.toml says, as before; to read what develop/seed.sql puts into the" \
            "database, set source = \"table:NAME\" and database_url = \"postgresql://app@database/app\" there"
    elif left=$(grep -l '^[^#]*@database[:/]' ./*/settings.toml); then
        printf '%s\n' "$verb: the database in its container is gone, and these name it; set another source there:" "$left"
    fi
}

data=
if [ $verb = answer ]; then
    shift
    data=$(given "$@")
    [ -n "$data" ] || {
        grep -v '^[_#]' $answers
        printf '%s\n' "answer: another one, at the present release of the template, as make answer database=postgresql"
        exit
    }
fi
git rev-parse --quiet --verify HEAD >/dev/null 2>&1 || fail "git has no commit here, from which one could tell what is new: make setup"
[ -z "$(git status --porcelain)" ] ||
    fail "there are changes that no commit holds: git commit, so that they and the template's stay apart"
named="_src_path in $answers" source=$(answer _src_path) before=$(answer _commit)
[ -z "${SOURCE:-}" ] || { named=SOURCE && source=$(written "$SOURCE"); }
! why=$(obstacle "$source") ||
    fail "$named $why: say where the template is, as in make $verb SOURCE=https://github.com/OWNER/copier-ml"

made=$(mktemp -d)
trap 'rm -r "$made"' EXIT
if [ -n "${SOURCE:-}" ]; then # Copier wants all of it in commits, so git looks away from this one line
    cat $answers >"$made/answers"
    trap '[ ! -f "$made/answers" ] || cat "$made/answers" >$answers
        git update-index --no-assume-unchanged $answers
        rm -r "$made"' EXIT
    git update-index --assume-unchanged $answers
    follow "$source"
fi
if [ $verb = update ]; then
    news=$(copier check-update --output-format json)
    case $news in *'"update_available": true'*) ;; *)
        rm -f "$made/answers"
        echo "update: this is the newest release${SOURCE:+; $answers names $source now, to be committed}"
        exit
        ;;
    esac
fi
code=0
eval "copier update --defaults --conflict inline ${TRUST:+--trust} --data '_since=$before' $data" \
    "$([ $verb = update ] || echo --vcs-ref :current:)" || code=$?
[ "$code" != 4 ] || # Copier's own: it would run a program of the template's, and is not told to trust it
    echo "update: look at hooks/migrate.py of the template, which this update runs, then make update TRUST=1" >&2
[ "$code" = 0 ] || exit "$code"
rm -f "$made/answers"
settle_day
CI='' sh develop/setup.sh # as the lock is what changes
if left=$(git grep -l '^<<<<<<< '); then
    printf '%s\n' "$verb: to be resolved, between <<<<<<< and >>>>>>>:" "$left"
fi
advise
echo "$verb: git diff shows what is changed here; commit it, uv.lock with the rest"
