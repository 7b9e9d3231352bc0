# Sourced by what works with containers: what things are called, and the image of what is checked out.
# shellcheck shell=sh disable=SC2034,SC2153,SC2154
venv=${UV_PROJECT_ENVIRONMENT:-.venv}

field() { sed -n "s/^$1 = \"\(.*\)\"\$/\1/p" pyproject.toml | head -n 1; }

project=$(field name)
package=$(echo "$project" | tr - _)
prefix=$(echo "$package" | LC_ALL=C tr '[:lower:]' '[:upper:]')
command=$venv/bin/$project
python=$venv/bin/python
[ -x "$python" ] || python=python3 # where nothing was set up, as in CI
known=$(PYTHONPATH=src "$python" -m "$package.ops.version")
commit=${known% *} branch=${known#* }

say() { printf '%s: %s\n' "$stage" "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

# Ends here unless somebody means it, who is asked on a terminal: sure VARIABLE=VALUE QUESTION.
sure() {
    [ "$(printenv "${1%%=*}")" != "${1#*=}" ] || return 0
    { [ -t 0 ] && [ -t 2 ]; } || fail "$2? Nothing was removed; $1 says that you mean it"
    printf '%s: %s? [y/N] ' "$stage" "$2" >&2
    read -r answer || true
    case $answer in [yY]*) ;; *) fail "nothing was removed" ;; esac
}

# Why there is no container engine to work with, and exit code 0; otherwise what the engine says of itself.
no_engine() {
    facts='{{.ServerVersion}} {{.SecurityOptions}}{{range .ClientInfo.Plugins}} {{.Name}}{{end}} {{.DriverStatus}}'
    if ! command -v docker >/dev/null; then
        if [ "$venv" = /opt/venv ]; then echo "in the devcontainer"; else echo "no container engine here"; fi
    elif engine=$(docker info --format "$facts" 2>/dev/null || true) && [ "${engine%% *}" = "" ]; then
        echo "no container engine answers (docker info says why)"
    elif case $engine in *" buildx"*) false ;; esac then
        echo "this docker has no buildx"
    elif { [ -f develop/compose.yaml ] || [ -f develop/tracking.yaml ]; } && case $engine in *" compose"*) false ;; esac then
        echo "this docker has no compose"
    else
        echo "$engine"
        return 1
    fi
}

# The image of what is checked out into $image; the arguments are a target of the Dockerfile and docker buildx build's.
# What is built goes to, and comes from, the folder $BUILD_CACHE too, where one is named: CI keeps that.
build() {
    built=$(mktemp -d)
    cache=${BUILD_CACHE:+$BUILD_CACHE/$1}
    set -- --target "$@"
    packed=compression=zstd,oci-mediatypes=true # a third of gzip's time
    [ -z "$cache" ] ||
        set -- "$@" --cache-from "type=local,src=$cache" --cache-to "type=local,dest=$cache.new,mode=max,$packed"
    if ! docker buildx build --output "type=docker,$packed" --iidfile "$built/id" --progress plain \
        --build-arg "COMMIT=$commit" --build-arg "VERSION=$(field version)" --build-arg "TEMPLATE=$(answer _commit)" \
        "$@" . >"$built/log" 2>&1; then
        tail -n 30 "$built/log" >&2
        fail "the image cannot be built; the whole log is $built/log"
    fi
    if [ -n "$cache" ]; then
        rm -rf "$cache"
        mv "$cache.new" "$cache"
    fi
    image=$(cat "$built/id")
    rm -r "$built"
}

# The image that IMAGE names, which was built and tested elsewhere, into $image; it has to be of this commit.
given() {
    docker image inspect "$IMAGE" >/dev/null 2>&1 || docker pull --quiet "$IMAGE" >/dev/null || fail "no such image: $IMAGE"
    image=$(docker image inspect --format '{{.Id}}' "$IMAGE")
    of=$(docker image inspect --format '{{index .Config.Labels "org.opencontainers.image.revision"}}' "$IMAGE")
    [ "$of" = "$commit" ] || fail "IMAGE=$IMAGE is of commit $of, and $commit is checked out"
}

answer() { sed -n "s/^$1: *['\"]*\([^'\"]*\)['\"]*\$/\1/p" .copier-answers.yml 2>/dev/null; }

# This package's settings among the environment variables, by name.
variables() {
    LC_ALL=C awk -v "prefix=$prefix" 'BEGIN { for (name in ENVIRON) if (toupper(name) ~ "^" prefix "_.*__") print name }'
}
