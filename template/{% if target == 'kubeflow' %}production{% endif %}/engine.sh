# Sourced by host.sh: a stage as a recurring run on the server of Kubeflow Pipelines that KFP_HOST names; KFP_TOKEN lets one
# in, KFP_NAMESPACE is where runs are and where their secrets have to be.
# shellcheck shell=sh disable=SC2034,SC2154
python=$venv/bin/python

if [ -n "${KUBE_CONFIG:-}" ]; then # CI's secret: the content of such a file
    KUBECONFIG=$(mktemp)
    export KUBECONFIG
    trap 'rm -f "$KUBECONFIG"' EXIT
    printf '%s\n' "$KUBE_CONFIG" >"$KUBECONFIG"
fi

server() { "$python" -W ignore -m production.server "$@"; }
secret_store() { "$python" -W ignore -m production.secret_store "$@"; }

ready() {
    [ -x "$command" ] || sh develop/setup.sh # as in CI
    [ -n "${KFP_HOST:-}" ] || fail "KFP_HOST is not set: the address of Kubeflow Pipelines, as http://localhost:8888"
}

# The image and the commit of the active version, or nothing.
active_version() { on_stage active --stage "$stage" 2>/dev/null || true; }

deployed() { server deployed "$name"; }

# The command line here, with the stage's secrets, where the stage is deployed.
on_stage() {
    deployed || return 1
    set -- "$command" "$@"
    [ -z "${reference:-}" ] || set -- "${prefix}_COMMIT=$commit" "${prefix}_IMAGE=$reference" "$@"
    secret_store run "$name" env "${prefix}_BRANCH=$branch" "$@"
}

# The command line in the candidate's image, with the stage's secrets.
on_candidate() {
    set -- "$image" "$@"
    for variable in $(secret_store names "$name") $(env | sed -n 's/^\(AWS_[A-Z_]*\)=.*/\1/p'); do
        set -- --env "$variable" "$@"
    done
    secret_store run "$name" docker run --rm --init --network host --read-only --tmpfs /tmp \
        --mount type=tmpfs,target=/app/var,tmpfs-mode=1777 --cap-drop ALL --security-opt no-new-privileges \
        --env "${prefix}_BRANCH=$branch" "$@"
}

secrets() {
    secret_store keep "$name" "$given" || fail "the secrets cannot be kept: nothing was deployed"
    say "secrets, as secret $name: $(secret_store names "$name")"
}

# With the stage's settings, some of which may be secrets; the names of these are words.
activate() {
    # shellcheck disable=SC2046
    secret_store run "$name" "$python" -W ignore -m production.server activate "$name" "$stage" "$reference" "$commit" \
        $(secret_store names "$name") || fail "the old version stays active"
}

run_once() { server run_once "$name" "$reference" "$commit"; }

# The server keeps no log: it knows how far the tasks are, and why one failed.
engine_logs() {
    [ -z "${FOLLOW:-}" ] || [ "${RUN:-}" = scheduler ] || server watch "$name" 1440 || true
    server logs "$name" "${RUN:-}"
}

uninstall() {
    server uninstall "$name"
    secret_store remove "$name"
    say "removed $name with its runs, versions and secrets; what is in a database or a store stays"
}
