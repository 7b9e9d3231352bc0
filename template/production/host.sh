# Sourced by what works with production on a Docker host: this machine, or that of DOCKER_HOST or of docker's context.
# shellcheck shell=sh disable=SC2034,SC2154
stage=production
# shellcheck source=template/develop/image.sh
. develop/image.sh
name=$project-production-$branch
database=$name-database-1
network=bridge

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

# The command line where production runs; where its container is stopped, in another of the same image.
there() {
    case $(docker container inspect --format '{{.State.Running}} {{.State.Restarting}}' "$name" 2>/dev/null) in
    "") return 1 ;;
    "true false") docker exec "$name" "/opt/app/bin/$project" "$@" ;;
    *) confined run --rm "$(docker container inspect --format '{{.Config.Image}}' "$name")" "$@" ;;
    esac
}
