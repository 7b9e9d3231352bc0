# Sourced by production/engine.sh: Argo Workflows on Kubernetes, which the current context of kubectl names.
# shellcheck shell=sh disable=SC2034,SC2154
scheduler=argo-workflows

reachable() { flow . "$scheduler" list-workflow-templates; }

# Metaflow's command line with the image that tasks run in, and with what holds their secrets, by reference.
place() {
    METAFLOW_KUBERNETES_CONTAINER_IMAGE=$reference METAFLOW_KUBERNETES_SECRETS=$secrets flow "$@"
}

outcome() { flow . "$scheduler" status "$1"; }
