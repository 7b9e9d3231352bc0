# Sourced by engine.sh: AWS Step Functions and Batch, with the account and the region of the environment.
# shellcheck shell=sh disable=SC2034,SC2154
scheduler=step-functions
[ -z "${AWS_REGION:-}" ] || export AWS_DEFAULT_REGION="$AWS_REGION" # which alone boto3 knows

# Metaflow's command line with the image in which tasks run, and with what holds their secrets, by reference.
place() {
    from=$1
    shift
    export METAFLOW_BATCH_CONTAINER_IMAGE="$reference"
    flow "$from" --with "secrets:sources=[\"$(secret_store where)\"]" "$@"
}

runs() { flow . "$scheduler" list-runs 2>&1 | sed -n 's/^ *\(sfn-.*\)/\1/p'; }
