# Sourced by engine.sh: Argo Workflows, in the cluster of KUBECONFIG, and in the namespace that NAMESPACE names.
# shellcheck shell=sh disable=SC2034,SC2154
scheduler=argo-workflows
[ -z "${NAMESPACE:-}" ] || export METAFLOW_KUBERNETES_NAMESPACE="$NAMESPACE"
if [ -n "${KUBE_CONFIG:-}" ]; then # CI's secret: the content of such a file
    KUBECONFIG=$(mktemp)
    export KUBECONFIG
    trap 'rm -f "$KUBECONFIG"' EXIT
    printf '%s\n' "$KUBE_CONFIG" >"$KUBECONFIG"
fi

confined='{"run_as_non_root": true, "allow_privilege_escalation": false}'

# Metaflow's command line with the image in which tasks run, and with what holds their secrets, by reference.
place() {
    METAFLOW_KUBERNETES_SECRETS=$(secret_store where)
    export METAFLOW_KUBERNETES_CONTAINER_IMAGE="$reference" METAFLOW_KUBERNETES_SECRETS
    from=$1
    shift
    flow "$from" --with "kubernetes:security_context=$confined" "$@"
}

runs() {
    case $stage in production) of=prod ;; *) of="test" ;; esac
    "$python" production/runs.py "$package.$of.$flow_branch.Pipeline"
}
