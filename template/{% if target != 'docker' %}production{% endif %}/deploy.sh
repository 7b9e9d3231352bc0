#!/bin/sh
# Activate a version in production, or in the stage that STAGE names, by the digest of its image.
#   deploy.sh deploy      the commit that is checked out, once it has passed the gates
#   deploy.sh rollback    the version before, or TO=COMMIT
#   deploy.sh remove      what was deployed, once somebody says yes
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
    push
    case $reference in
    *@sha256:*) ;;
    *) fail "[deploy] registry in $stage/platform.toml, or REGISTRY=: the name of one that the cluster takes images from" ;;
    esac
    collect_secrets
    secrets
    rm -r "$given" # whatever comes of the rest
    if [ "$(active_version)" = "$reference $commit" ]; then
        say "$commit is deployed already, as $reference: nothing to do"
    else
        unit_tests
        say "the gates, in $reference"
        on_candidate gates --stage "$stage" || fail "the gates refuse $commit: nothing was deployed"
        activate
        on_stage promote --by "$by" --action deploy --stage "$stage" >/dev/null || fail "$commit is active, but the deployment history does not have it"
        run_once
        say "deployed $commit as $reference"
    fi
    first_run
    say "make status, make logs STAGE=$stage, make results STAGE=$stage tell the rest; make rollback undoes it"
}

running() {
    now=$(active_version)
    [ -n "$now" ] || return 1
    echo "${now#* }"
}

# With WAIT, a number of minutes: wait until the active version has finished the run that is due.
first_run() {
    [ -z "${WAIT:-}" ] || on_stage wait --minutes "$WAIT" --stage "$stage" || fail "its first run is not good"
}

rollback() {
    found=$(on_stage previous --to "${TO:-}" --stage "$stage") || fail "nothing was rolled back"
    reference=${found% *} commit=${found#* }
    image=$reference
    docker image inspect "$reference" >/dev/null 2>&1 || docker pull --quiet "$reference" >/dev/null ||
        fail "the image $reference is not to be had: nothing was rolled back"
    activate
    on_stage promote --by "$by" --action rollback --stage "$stage" >/dev/null || fail "$commit is active, but the deployment history does not have it"
    run_once
    first_run
    say "rolled back to $commit as $reference"
}

remove() {
    { [ "$stage" = develop ] && [ -n "${CI:-}" ]; } || # a preview is closed by CI
        sure "SURE=$name" "remove $name: the schedule of $stage on branch $branch, and what it leaves, for good"
    uninstall
}

ready
"$@"
