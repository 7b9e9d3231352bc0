# Sourced by container.sh: the flow in the image, on the develop settings, or from where it failed.
# shellcheck shell=sh disable=SC2154
here --name "$name-run-$$" "$@" --env RESUME --entrypoint sh "$image" production/local.sh "$branch" python "/opt/app/bin/$project"
