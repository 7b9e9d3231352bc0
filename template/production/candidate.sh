# Sourced by what builds and what deploys: an image on its way to a stage, always the same one, by its digest.
# shellcheck shell=sh disable=SC2034,SC2154
by=${DEPLOYED_BY:-$(git config user.name || id -un)}

# Only what a commit holds can be found again.
committed() {
    case $commit in
    unknown | uncommitted) fail "no commit, and so nothing that could be deployed: git commit" ;;
    *-dirty)
        [ "${DIRTY:-}" = 1 ] ||
            fail "there are changes that no commit holds: git commit, or DIRTY=1 make deploy, which stamps them $commit"
        ;;
    esac
}

# Whether CI deploys a commit that the active version already contains: then a newer commit was quicker.
overtaken() {
    [ -n "${CI:-}" ] || return 1
    running=$(running) || return 1
    [ "$running" != "$commit" ] && git merge-base --is-ancestor "$commit" "$running" 2>/dev/null || return 1
    say "$running is deployed already, which is newer than $commit: nothing to do"
}

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
    remote=$(echo "$registry" | LC_ALL=C tr '[:upper:]' '[:lower:]')/$project
    docker tag "$image" "$remote:$commit"
    docker push --quiet "$remote:$commit" >/dev/null || fail "$remote cannot be pushed to: nothing was deployed"
    reference=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$image" | grep "^$remote@" | head -n 1)
    say "pushed $reference"
}

# Its unit tests, in the very image.
unit_tests() {
    examine test
    passed=yes
    docker run --rm --init --network none --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
        "$examiner" || passed=
    docker image rm "$examiner" >/dev/null 2>&1 || true
    [ -n "$passed" ] || fail "the unit tests refuse $commit: nothing was deployed"
}

# Secrets into the folder $given, a file for each: each file of production/secrets/, this package's settings among the
# environment variables, and CI's SETTINGS, a line for each, as DATABASE__URL=….
collect_secrets() {
    given=$(mktemp -d)
    for file in "$stage"/secrets/*; do
        [ ! -f "$file" ] || cp "$file" "$given/"
    done
    for variable in $(variables); do
        printenv "$variable" >"$given/$(echo "$variable" | LC_ALL=C tr '[:lower:]' '[:upper:]')"
    done
    printf '%s\n' "${SETTINGS:-}" | while IFS='=' read -r key value; do
        case $key in
        "") ;;
        *[!A-Z0-9_]*) fail "SETTINGS: $key is no setting's name, as DATABASE__URL is" ;;
        *) printf '%s\n' "$value" >"$given/${prefix}_$key" ;;
        esac
    done
}
