# Sourced by what builds and what deploys: an image on its way to a stage, always the same one, by its digest.
# shellcheck shell=sh disable=SC2034,SC2154

# The image to deploy into $image: IMAGE, which was built and tested elsewhere; the one that is here of this commit, as
# make develop builds it; or a new one.
choose() {
    here=$(docker images --quiet --no-trunc --filter "reference=$project:*") # by label it would take seconds, of many
    form='{{.Id}} {{index .Config.Labels "org.opencontainers.image.revision"}}'
    # shellcheck disable=SC2086
    image=$([ -z "$here" ] || docker image inspect --format "$form" $here 2>/dev/null | sed -n "s/ $commit\$//p" | head -n 1)
    case $commit in *-dirty) image= ;; esac
    if [ -n "${IMAGE:-}" ]; then
        case $IMAGE in *sha256:*) ;; *) fail "IMAGE=$IMAGE: not a digest, as in NAME@sha256:…" ;; esac
        given
    elif [ -n "$image" ]; then
        say "the image that is here of $commit"
    else
        say "building the image of $commit"
        build runtime
    fi
    keep
}

# A name keeps it from being cleaned away; what is deployed is the digest.
keep() {
    kept=$project:$stage-$branch-$(echo "${image#*sha256:}" | cut -c 1-12)
    docker tag "$image" "$kept"
}

# A target of the Dockerfile that adds to the very image what examines it, into $examiner.
examine() {
    examined=$image
    build "$1" --build-context "runtime=docker-image://$kept"
    examiner=$image image=$examined
}

# To the registry that REGISTRY or [deploy] registry names, if one does; into $reference what to call it from now on.
push() {
    case ${IMAGE:-} in
    *@*)
        reference=$IMAGE
        return
        ;;
    esac
    reference=$image
    registry=${REGISTRY:-$(docker run --rm --network none --env "${prefix}_DEPLOY__REGISTRY" --entrypoint python "$image" \
        -m "$package.ops.settings" "$stage" deploy.registry)}
    [ -n "$registry" ] || return 0
    remote=$(echo "$registry" | tr '[:upper:]' '[:lower:]')/$project
    docker tag "$image" "$remote:$commit"
    docker push --quiet "$remote:$commit" >/dev/null || fail "$remote cannot be pushed to: nothing was deployed"
    reference=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$image" | grep "^$remote@" | head -n 1)
    say "pushed $reference"
}
