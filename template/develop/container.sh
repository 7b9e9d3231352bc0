#!/bin/sh
# The develop stage in containers, which are this folder's and this branch's own.
#   container.sh run       the pipeline in production's image, or in the locked environment where that cannot be
#   container.sh inside    a command, or a shell, in the devcontainer's image on this folder, without an editor
#   container.sh look …    the command line here, on the database in its container
#   container.sh clean     removes this branch's containers, images, volumes and results, once somebody says yes
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
stage=develop
# shellcheck source=develop/image.sh
. develop/image.sh
compose=develop/compose.yaml
files=$(for file in $compose develop/tracking.yaml; do [ ! -f "$file" ] || printf ' --file %s' "$file"; done)
slug=$branch-$(pwd -P | cksum | cut -d ' ' -f 1)
name=$project-$slug
database=$name-database-1
made=var/develop/$branch
folder=$(pwd | sed 's/"/""/g')

# shellcheck disable=SC2086
compose() { docker compose --project-name "$name" $files --progress quiet "$@"; }

# Why nothing can run in containers here, and exit code 0; otherwise what the engine says of itself.
obstacle() {
    if engine=$(no_engine); then
        echo "$engine"
    elif case $(docker context inspect --format '{{.Endpoints.docker.Host}}') in
    unix:* | npipe:* | tcp://docker:*) false ;; # the last is a service beside CI's job, which shares its folder
    esac then
        echo "the container engine is on another machine"
    else
        echo "$engine"
        return 1
    fi
}

# The variables that have to name databases of another server, as the settings name that of the container.
unnamed() {
    if [ ! -f $compose ] || [ "$venv" = /opt/venv ]; then return; fi
    for section in $(contained); do
        variable=${prefix}_$(echo "${section%%=*}" | LC_ALL=C tr '[:lower:]' '[:upper:]' | sed 's/[.]/__/g')
        [ -z "$(printenv "$variable")" ] || continue
        case $section in
        *=) echo "$variable" ;;
        *) case $(printenv "${variable%DATABASE_URL}SOURCE" || echo "${section#*=}") in table:* | query:*) echo "$variable" ;; esac ;;
        esac
    done
}

# The keys by which the develop settings name the container's database: SECTION.url=, or SECTION.database_url=SOURCE.
contained() {
    cat develop/*.toml | awk -F '"' '
        /^\[/ { name = $0; gsub(/^\[+|\].*/, "", name) }
        /^source = / { source[name] = substr($0, 11); sub(/[ "\047].*/, "", source[name]) }
        /^(database_)?url = "postgres[a-z]*:\/\/[^"]*@database[:\/]/ { key = $1; sub(/ .*/, "", key); found[name "." key] = name }
        END { for (key in found) print key "=" (key ~ /[.]database_url$/ ? source[found[key]] : "") }' | sort
}

# All that it takes to go on without the container, and no more.
advise() {
    say "$1, and so no database in a container; name one of a PostgreSQL server of your own:"
    {
        for variable in $(unnamed); do
            case $variable in
            *__DATABASE_URL) echo "    export $variable=postgresql://USER@localhost/source" ;;
            *) echo "    export $variable='postgresql://USER@localhost/develop-{branch}'    # made if it is missing" ;;
            esac
        done
        echo "    export PGPASSWORD=…    # where the server asks for one"
        for variable in $(unnamed | grep "__DATABASE_URL$" | head -n 1); do
            echo "and the example's data into it:"
            echo "    psql postgresql://USER@localhost/postgres --command 'CREATE DATABASE source'"
            echo "    psql postgresql://USER@localhost/source --quiet --file develop/seed.sql"
            echo "or instead, data that is made up: export ${variable%DATABASE_URL}SOURCE=sample"
        done
    } >&2
    exit 1
}

run() {
    if why=$(obstacle) || { [ ! -f Dockerfile ] && why="no Dockerfile here"; }; then
        [ -z "$(unnamed)" ] || advise "$why"
        say "$why: in the locked environment of $venv"
        [ -x "$command" ] || sh develop/setup.sh
        [ ! -f production/local.sh ] || exec sh production/local.sh "$branch" "$venv/bin/python" "$command"
        exec "$command" run --stage develop
    fi
    if [ -n "${IMAGE:-}" ]; then
        say "in $IMAGE"
        given
    else
        say "in production's image, built from $commit"
        build runtime --tag "$project:$slug"
        mkdir -p "$made"
        echo "$image" >>"$made/images"
    fi
    mkdir -p var
    set -- --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
        --mount "type=bind,\"source=$folder/var\",target=/app/var" \
        --env "${prefix}_BRANCH=$branch" --env "${prefix}_IMAGE=$image"
    [ ! -d data ] || set -- "$@" --mount "type=bind,\"source=$folder/data\",target=/app/data,readonly"
    for variable in $(variables); do
        set -- "$@" --env "$variable"
    done
    if [ -f $compose ]; then
        chmod a+r develop/seed.sql # for the server's own user
        compose up --detach --wait database || {
            docker logs --tail 5 "$database" >&2
            fail "the database did not start; where develop/seed.sql is to blame, mend it and make clean"
        }
        set -- "$@" --network "${name}_default" --mount "type=volume,source=${name}_secrets,target=/run/secrets,readonly"
        say "the database runs on as container $database, until make clean"
    fi
    beside=
    [ ! -f develop/tracking.sh ] || start_server
    # shellcheck disable=SC2086
    set -- "$@" $beside
    if [ -f production/develop.sh ]; then
        # shellcheck source=/dev/null
        . production/develop.sh
    else
        here --name "$name-run-$$" "$@" "$image" run --stage develop
    fi
}

inside() {
    if why=$(obstacle); then
        [ "$venv" != /opt/venv ] || exec sh -c "${DO:-bash}" # it is there already
        fail "$why: the devcontainer's image needs one"
    fi
    build dev --tag "$project:dev-$slug"
    set -- --workdir "/workspaces/$project" --mount "type=bind,\"source=$folder\",target=/workspaces/$project" \
        --env HOME=/tmp --env CI --env "${prefix}_BRANCH=$branch"
    case ${BUILD_CACHE:-} in # what mypy knows of libraries is kept with the image that they are in
    "" | /*) ;;
    *) set -- "$@" --env "MYPY_CACHE_DIR=$BUILD_CACHE/mypy" ;;
    esac
    here "$@" "$image" sh -c "${DO:-bash}"
}

# Who writes here: what containers write to this folder is theirs.
whoever() {
    case $why in *name=rootless*) echo 0:0 ;; *) echo "$(id -u):$(id -g)" ;; esac
}

# docker run, as whoever is here.
here() {
    ! { [ -t 0 ] && [ -t 1 ] && [ -t 2 ]; } || set -- --interactive --tty "$@"
    exec docker run --rm --init --user "$(whoever)" --security-opt label=disable "$@"
}

# The URL is the same as in the containers; libpq takes the rest from the environment.
look() {
    if why=$(obstacle); then
        ! unnamed | grep -q "_DATABASE__URL$" ||
            without "$why, and so no database in a container: make develop tells how to name another" "$@"
    elif [ -z "$(printenv "${prefix}_DATABASE__URL")" ]; then
        port=$(docker port "$database" 5432/tcp 2>/dev/null) ||
            without "no database runs on this branch: make develop starts it" "$@"
        PGPASSWORD=$(docker exec "$database" cat /run/secrets/PGPASSWORD)
        export PGHOSTADDR="${port%:*}" PGPORT="${port##*:}" PGPASSWORD
    fi
    exec "$command" "$@"
}

# Look without a database: logs are files; of other things only what is known of stages that are deployed.
without() {
    why=$1
    shift
    [ "$1" != logs ] || exec "$command" "$@"
    say "$why"
    [ "$1" = status ] || exit 1
    case " $* " in *" --deployed "*) exec "$command" "$@" --deployed-only ;; esac
    exit
}

clean() {
    runs=$(find "$made" -name run.json 2>/dev/null | wc -l | tr -d ' ')
    if why=$(obstacle); then
        say "$why: no containers to remove"
        [ -d "$made" ] || {
            say "no $made: nothing to remove"
            return
        }
        sure YES=1 "remove $made, with the reports and rows of its runs ($runs)"
    else
        sure YES=1 "remove $made, with the reports and rows of its runs ($runs), and the containers, images and volumes of $name"
        for container in $(docker ps --quiet --filter "name=^$name-run-"); do
            docker rm --force "$container" >/dev/null
        done
        [ -z "$files" ] || compose down --volumes
        docker image rm "$project:$slug" "$project:dev-$slug" >/dev/null 2>&1 || true
        sort -u "$made/images" 2>/dev/null | while read -r image; do
            case $(docker image inspect --format '{{len .RepoTags}}' "$image" 2>/dev/null) in
            0) docker image rm "$image" >/dev/null 2>&1 || true ;; # one that another container runs stays
            esac
        done
        say "removed the containers, images and volumes of $name"
    fi
    rm -rf "$made"
    say "removed $made"
}

# shellcheck source=/dev/null
[ ! -f develop/tracking.sh ] || . develop/tracking.sh
"$@"
