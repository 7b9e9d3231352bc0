# Sourced by what works with a stage that is deployed on a Docker host: production, or the one that STAGE names, on this
# machine or on that of DOCKER_HOST or of docker's context.
# shellcheck shell=sh disable=SC2034,SC2154
stage=${STAGE:-production}
# shellcheck source=develop/image.sh
. develop/image.sh
case $stage in develop | production) ;; *) fail "STAGE=$stage: what is deployed are develop and production" ;; esac
name=$project-$stage-$branch
database=$name-database-1
network=bridge
# shellcheck source=production/ssh.sh
[ -z "${SSH_KEY:-}" ] || . production/ssh.sh

compose() {
    docker compose --project-name "$name" --file develop/compose.yaml --file production/compose.yaml --progress quiet "$@"
}

# docker run, or create, with the rights that production has, which are few, and with its data, secrets and network.
confined() {
    what=$1
    shift
    ! docker container inspect "$database" >/dev/null 2>&1 || network=${name}_default
    docker "$what" --init --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --network "$network" \
        --mount "type=volume,source=${name}_var,target=/app/var" \
        --mount "type=volume,source=${name}_secrets,target=/run/secrets,readonly" \
        --env "${prefix}_BRANCH=$branch" "$@"
}

# The command line where the stage runs; where its container is stopped, in another of the same image.
on_stage() {
    case $(docker container inspect --format '{{.State.Running}} {{.State.Restarting}}' "$name" 2>/dev/null) in
    "") return 1 ;;
    "true false") docker exec "$name" "/opt/app/bin/$project" "$@" ;;
    *) confined run --rm "$(docker container inspect --format '{{.Config.Image}}' "$name")" "$@" ;;
    esac
}
