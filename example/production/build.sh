#!/bin/sh
# What CI does with the image of the commit that is checked out, before anything is deployed.
#   build.sh image     built, compared with the lock, pushed where a registry is named; prints what to call it
#   build.sh scan      its known vulnerabilities for which there is a fix; of IMAGE where that is named
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/../develop/prelude.sh"
cd "$(dirname "$0")/.."
# shellcheck source=production/host.sh
. production/host.sh
# shellcheck source=production/candidate.sh
. production/candidate.sh

image() {
    case $engine in
    *io.containerd.snapshotter*) build runtime --provenance mode=max --sbom true ;;
    *)
        say "without SBOM and provenance, which this engine's image store cannot hold (containerd's can)"
        build runtime
        ;;
    esac
    keep
    examine test
    docker image rm "$examiner" >/dev/null
    say "its packages are the lock's: $image"
    push
    echo "$reference"
}

scan() {
    if [ -n "${IMAGE:-}" ]; then given; else build runtime; fi
    keep
    examine scan
    passed=yes
    docker run --rm --init --mount "type=volume,source=$project-scan,target=/root/.cache" "$examiner" || passed=
    docker image rm "$examiner" >/dev/null 2>&1 || true
    [ -n "$passed" ] || fail "known vulnerabilities that have a fix: make upgrade, or a newer base image, brings it"
}

! engine=$(no_engine) || fail "$engine: an image needs one"
"$@"
