#!/bin/sh
# Activate a version in production, or in the stage that STAGE names, by the digest of its image.
#   deploy.sh deploy      the commit that is checked out, once it has passed the gates
#   deploy.sh rollback    the version before, or TO=COMMIT
#   deploy.sh remove      the stage and all its data, once somebody says yes
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/../develop/prelude.sh"
cd "$(dirname "$0")/.."
# shellcheck source=production/host.sh
. production/host.sh
# shellcheck source=production/candidate.sh
. production/candidate.sh

deploy() {
    committed
    ! overtaken || return 0
    choose
    if [ "$(docker container inspect --format '{{.Image}} {{.State.Running}}' "$name" 2>/dev/null)" = "$image true" ]; then
        secrets
        say "$commit is deployed already, as $image: nothing to do"
    else
        start_database
        secrets
        gates
        push
        promote deploy
        say "deployed $commit as $reference"
    fi
    first_run
    say "make status, make logs STAGE=$stage, make results STAGE=$stage tell the rest; make rollback undoes it"
}

# With WAIT, a number of minutes: wait until the active version has finished the run that is due.
first_run() {
    [ -z "${WAIT:-}" ] || on_stage wait --minutes "$WAIT" --stage "$stage" || fail "its first run is not good"
}

running() {
    docker container inspect --format '{{index .Config.Labels "org.opencontainers.image.revision"}}' "$name" 2>/dev/null
}

rollback() {
    docker container inspect "$name" >/dev/null 2>&1 || fail "nothing is deployed from branch $branch: make deploy"
    found=$(on_stage previous --to "${TO:-}" --stage "$stage") || fail "nothing was rolled back"
    reference=${found% *}
    docker image inspect "$reference" >/dev/null 2>&1 || docker pull --quiet "$reference" >/dev/null ||
        fail "the image $reference is neither here nor to be had: nothing was rolled back"
    image=$reference
    promote rollback
    first_run
    say "rolled back to ${found#* } as $reference"
}

remove() {
    { [ "$stage" = develop ] && [ -n "${CI:-}" ]; } || # a preview is closed by CI
        sure "SURE=$name" "remove $name: the schedule, every run and every row of $stage on branch $branch, for good"
    docker rm --force "$name" "$name-next" >/dev/null 2>&1 || true
    [ ! -f production/compose.yaml ] || compose down --volumes
    for volume in var secrets; do
        docker volume rm "${name}_$volume" >/dev/null 2>&1 || true
    done
    say "removed $name with all its data; its images stay, as $project:$stage-$branch-…"
}

# Secrets go where only the stage's containers look, never on a command line. What was put there earlier stays.
secrets() {
    collect_secrets
    names=$(ls "$given")
    if [ -n "$names" ]; then
        # shellcheck disable=SC2016,SC2086
        tar -C "$given" -cf - $names | docker run --rm --interactive --network none --user 0:0 --entrypoint sh \
            --mount "type=volume,source=${name}_secrets,target=/run/secrets" "$image" \
            -c 'cd /run/secrets && tar -xf - && chown 1000:1000 "$@" && chmod 400 "$@"' sh $names
        say "secrets, as files in volume ${name}_secrets: $(echo "$names" | tr '\n' ' ')"
    fi
    rm -r "$given"
}

# The database beside production, where there is one and no other is named.
start_database() {
    [ -f production/compose.yaml ] || return 0
    [ -z "$(printenv "${prefix}_DATABASE__URL")" ] || return 0
    [ ! -f "$stage/secrets/${prefix}_DATABASE__URL" ] || return 0
    case ${SETTINGS:-} in *DATABASE__URL=*) return 0 ;; esac
    if docker volume inspect "${name}_secrets" >/dev/null 2>&1; then
        ! docker run --rm --network none --entrypoint test --mount "type=volume,source=${name}_secrets,target=/run/secrets" \
            "$image" -e "/run/secrets/${prefix}_DATABASE__URL" || return 0
    fi
    if ! docker container inspect "$database" >/dev/null 2>&1; then
        compose create database
        chmod a+r develop/seed.sql # for the server's own user
        compose cp develop/seed.sql database:/docker-entrypoint-initdb.d/seed.sql
    fi
    compose up --detach --wait database || {
        docker logs --tail 5 "$database" >&2
        fail "the database did not start: nothing was deployed"
    }
    say "the database: container $database"
}

gates() {
    say "the gates, in $image"
    unit_tests
    confined run --rm "$image" gates --stage "$stage" || fail "the gates refuse $commit: nothing was deployed"
}

# Until the line with promote the old version is active; after it, the new one. A deployment that is stopped in between
# leaves a container that does nothing. The next deployment removes it.
promote() {
    lock_deployments
    finish_activation
    docker rm --force "$name-next" >/dev/null 2>&1 || true
    confined run --detach --name "$name-next" --restart always --log-opt max-size=10m --log-opt max-file=3 \
        --env "${prefix}_IMAGE=$reference" "$reference" schedule --stage "$stage" >/dev/null
    docker exec "$name-next" "/opt/app/bin/$project" promote --by "$by" --action "$1" --stage "$stage" || {
        docker logs --tail 5 "$name-next" >&2
        docker rm --force "$name-next" >/dev/null
        fail "this version cannot do the stage's work: the old one stays active"
    }
    finish_activation
    old=$(docker images --filter "reference=$project:$stage-$branch-*" --format '{{.Repository}}:{{.Tag}}' | tail -n +11)
    [ -z "$old" ] || printf '%s\n' "$old" | xargs docker image rm >/dev/null 2>&1 || true # the one that runs stays
}

# Ends what an earlier deployment, or this one, has begun: the active container gets its name, any other is removed.
finish_activation() {
    docker container inspect "$name-next" >/dev/null 2>&1 || return 0
    last=$(docker cp --quiet "$name-next:/app/var/$stage/deployments.jsonl" - 2>/dev/null | tar -xO | tail -n 1)
    case $last in
    *"\"$(docker container inspect --format '{{.Config.Image}}' "$name-next")\""*)
        docker stop "$name" >/dev/null 2>&1 || true
        docker rm --force "$name" >/dev/null 2>&1 || true
        docker rename "$name-next" "$name"
        ;;
    *) docker rm --force "$name-next" >/dev/null ;;
    esac
}

# One deployment at a time, whoever makes it, from wherever: a container's name is there once. It ends with this script,
# however that ends, as its standard input does.
lock_deployments() {
    pipes=$(mktemp -d)
    mkfifo "$pipes/in" "$pipes/out"
    until
        docker run --rm --interactive --network none --name "$name-lock" --entrypoint cat "$image" \
            <"$pipes/in" >"$pipes/out" 2>/dev/null &
        exec 8>"$pipes/in" 9<"$pipes/out"
        (echo mine >&8) 2>/dev/null || true
        read -r _ <&9
    do
        exec 8>&- 9<&-
        [ -n "${waited:-}" ] || say "another deployment is under way: waiting for its end"
        waited=yes
        sleep 1
    done
    rm -r "$pipes"
    trap 'exec 8>&- 9<&-; wait; [ -z "${ssh:-}" ] || leave_host' EXIT # so that it has ended when this has
}

why=$(no_engine) && fail "$why: production on a Docker host needs one"
"$@"
