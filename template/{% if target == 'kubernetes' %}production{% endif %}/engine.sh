# Sourced by host.sh: a stage as a CronJob in a namespace, that of kubectl's context or the one that NAMESPACE names.
# shellcheck shell=sh disable=SC2034,SC2154
short=$name # a CronJob's name has at most 52 characters, here with -next
[ "${#name}" -le 46 ] || short=$(echo "$name" | cut -c 1-35)-$(echo "$name" | cksum | cut -d ' ' -f 1)

if [ -n "${KUBE_CONFIG:-}" ]; then # CI's secret: the content of such a file
    KUBECONFIG=$(mktemp)
    export KUBECONFIG
    trap 'rm -f "$KUBECONFIG"' EXIT
    printf '%s\n' "$KUBE_CONFIG" >"$KUBECONFIG"
fi

k() { kubectl ${NAMESPACE:+--namespace "$NAMESPACE"} "$@"; }

ready() {
    command -v kubectl >/dev/null || fail "no kubectl here: Kubernetes' own client, with a context that names the cluster"
    said=$(k get cronjobs 2>&1) || fail "no cluster to deploy to: $(echo "$said" | tail -n 1)"
}

active_version() {
    k get cronjob "$short" --output 'jsonpath={.spec.jobTemplate.spec.template.spec.containers[0].image} {.metadata.labels.app\.kubernetes\.io/version}' 2>/dev/null || true
}

deployed() { k get cronjob "$short" >/dev/null 2>&1; }

# The command line in a pod of its own, as the active version has it.
on_stage() {
    deployed || return 1
    in_pod "$short" "$@"
}

# The command line in a pod of the candidate, which has all but the schedule.
on_candidate() {
    render "$short-next" true | k apply --server-side --force-conflicts --filename - >/dev/null ||
        fail "the cluster refuses what is to be deployed"
    passed=yes
    in_pod "$short-next" "$@" || passed=
    k delete cronjob "$short-next" --ignore-not-found >/dev/null
    [ -n "$passed" ]
}

activate() {
    render "$short" false | k apply --server-side --force-conflicts --filename - >/dev/null ||
        fail "the cluster refuses $commit: the old version stays active"
}

run_once() { k create job "$short-$(date +%s)" --from "cronjob/$short" >/dev/null; }

# What goes to the stage's secret stays there until it is overwritten; the pods read it as files.
secrets() {
    k get secret "$short" >/dev/null 2>&1 || k create secret generic "$short" >/dev/null
    names=$(ls "$given")
    [ -n "$names" ] || return 0
    for secret in $names; do # into a file that nobody else can read, as the folder says
        printf '%s"%s":"%s"' "${comma:-}" "$secret" "$(base64 <"$given/$secret" | tr -d '\n')"
        comma=,
    done >"$given/.values"
    printf '{"data":{%s}}' "$(cat "$given/.values")" >"$given/.patch"
    k patch secret "$short" --type merge --patch-file "$given/.patch" >/dev/null
    say "secrets, as secret $short: $(echo "$names" | tr '\n' ' ')"
}

engine_logs() {
    if [ "${RUN:-}" = scheduler ]; then
        k get cronjobs,jobs,pods --selector "app.kubernetes.io/instance=$short"
        k get events --sort-by .lastTimestamp | grep "$short" || true
    else
        runs=app.kubernetes.io/instance=$short,app.kubernetes.io/component!=look
        job=$(k get jobs --selector "$runs" --sort-by .metadata.creationTimestamp --output name | tail -n 1)
        [ -n "$job" ] || fail "no run yet"
        k logs --follow --prefix --max-log-requests 50 --selector "batch.kubernetes.io/job-name=${job#*/}" --tail -1
    fi
}

uninstall() {
    k delete cronjobs,jobs,serviceaccounts,secrets,persistentvolumeclaims --selector "app.kubernetes.io/instance=$short" >/dev/null
    k delete secret "$short" --ignore-not-found >/dev/null
    say "removed $short with its volume and its secret; what is in a database or a store elsewhere stays"
}

# A job of the same pod as a CronJob's, with other arguments; what it says goes to standard output, or to error if it fails.
in_pod() {
    of=$1
    shift
    job=$short-look-$(date +%s)-$$
    arguments=$("$python" -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@")
    k create job "$job" --from "cronjob/$of" --dry-run=client --output json | kubectl patch --local --filename - --type json \
        --output json --patch "[
            {\"op\": \"add\", \"path\": \"/metadata/labels/app.kubernetes.io~1component\", \"value\": \"look\"},
            {\"op\": \"add\", \"path\": \"/spec/ttlSecondsAfterFinished\", \"value\": 3600},
            {\"op\": \"replace\", \"path\": \"/spec/completions\", \"value\": 1},
            {\"op\": \"replace\", \"path\": \"/spec/parallelism\", \"value\": 1},
            {\"op\": \"replace\", \"path\": \"/spec/backoffLimitPerIndex\", \"value\": 0},
            {\"op\": \"replace\", \"path\": \"/spec/template/spec/containers/0/args\", \"value\": $arguments}
        ]" | k create --filename - >/dev/null
    while ended=$(k get job "$job" --output 'jsonpath={.status.succeeded}/{.status.failed}') && [ "$ended" = / ]; do
        waited=$((${waited:-0} + 1))
        [ "$waited" -ne 120 ] || k get pods --selector "batch.kubernetes.io/job-name=$job" >&2
        sleep 0.5
    done
    case $ended in
    1/*) k logs "job/$job" ;;
    *) k logs "job/$job" >&2 ;;
    esac
    k delete job "$job" --wait=false >/dev/null
    [ "${ended%/*}" = 1 ]
}

# The manifests of kubernetes/<stage>/ for a CronJob of this name, suspended or not: the image by its digest, and what the
# settings say.
render() {
    overlay=var/kubernetes/$1
    mkdir -p "$overlay"
    settings schedule.cron schedule.timezone schedule.late_minutes schedule.deadline_minutes runs.shards >"$overlay/settings"
    { read -r cron && read -r zone && read -r late && read -r deadline && read -r shards; } <"$overlay/settings"
    suspend=$2
    [ -n "$cron" ] || suspend=true cron="0 0 1 1 *"
    pod=/spec/jobTemplate/spec/template/spec
    cat >"$overlay/kustomization.yaml" <<END
resources: [../../../production/kubernetes/$stage]
images:
  - {name: $project, newName: ${reference%@*}, digest: ${reference#*@}}
labels:
  - pairs: {app.kubernetes.io/name: $project, app.kubernetes.io/instance: $short, app.kubernetes.io/version: "$commit"}
    includeTemplates: true
patches:
  - target: {kind: ServiceAccount|PersistentVolumeClaim}
    options: {allowNameChange: true}
    patch: |
      - {op: replace, path: /metadata/name, value: $short}
  - target: {kind: CronJob}
    options: {allowNameChange: true}
    patch: |
      - {op: replace, path: /metadata/name, value: $1}
      - {op: replace, path: /spec/suspend, value: $suspend}
      - {op: replace, path: /spec/schedule, value: "$cron"}
      - {op: replace, path: /spec/timeZone, value: "$zone"}
      - {op: replace, path: /spec/startingDeadlineSeconds, value: $(seconds "$late")}
      - {op: replace, path: /spec/jobTemplate/spec/activeDeadlineSeconds, value: $(seconds "$deadline")}
      - {op: replace, path: /spec/jobTemplate/spec/completions, value: $shards}
      - {op: replace, path: /spec/jobTemplate/spec/parallelism, value: $shards}
      - {op: replace, path: $pod/volumes/0/secret/secretName, value: $short}
      - {op: add, path: $pod/containers/0/env/-, value: {name: ${prefix}_BRANCH, value: $branch}}
      - {op: add, path: $pod/containers/0/env/-, value: {name: ${prefix}_IMAGE, value: "$reference"}}
END
    kubectl kustomize "$overlay"
}

seconds() { awk -v minutes="$1" 'BEGIN { printf "%d", 60 * minutes }'; }
