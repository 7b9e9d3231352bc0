# Sourced by engine.sh: Argo Workflows, in the cluster that the present context of kubectl names.
# shellcheck shell=sh disable=SC2034,SC2154
scheduler=argo-workflows

# Metaflow's command line with the image in which tasks run, and with what holds their secrets, by reference.
place() {
    METAFLOW_KUBERNETES_SECRETS=$(vault where)
    export METAFLOW_KUBERNETES_CONTAINER_IMAGE="$reference" METAFLOW_KUBERNETES_SECRETS
    flow "$@"
}

runs() {
    case $stage in production) of=prod ;; *) of="test" ;; esac
    "$python" production/runs.py "$package.$of.$flow_branch.Pipeline"
}
