# Sourced by production/engine.sh: AWS Step Functions and Batch, with the account and region of the environment.
# shellcheck shell=sh disable=SC2034,SC2154
scheduler=step-functions

reachable() { flow . "$scheduler" list-runs; }

# Metaflow's command line with the image that tasks run in, and with what holds their secrets, by reference.
place() {
    from=$1
    shift
    METAFLOW_BATCH_CONTAINER_IMAGE=$reference flow "$from" --with "secrets:sources=[\"$secrets\"]" "$@"
}

outcome() { flow . "$scheduler" list-runs | sed -n "s/^.*$1 .* //p"; }
