# Sourced by what works with a stage that is deployed: production, or the one that STAGE names.
# shellcheck shell=sh disable=SC2034,SC2154
stage=${STAGE:-production}
# shellcheck source=develop/image.sh
. develop/image.sh
case $stage in develop | production) ;; *) fail "STAGE=$stage: what is deployed are develop and production" ;; esac
name=$project-$stage-$branch

# shellcheck source=production/engine.sh
. production/engine.sh

# Some of the stage's settings, as the image has them, a line each.
settings() { in_image -m "$package.ops.settings" "$stage" "$@"; }

# Python in the image, with these arguments.
in_image() { docker run --rm --network none --env "${prefix}_BRANCH=$branch" --entrypoint python "$image" "$@"; }
