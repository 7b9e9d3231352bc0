# Sourced by what deploys and what looks: a stage of the flow on Metaflow's scheduler, through Metaflow's own commands.
# shellcheck shell=sh disable=SC2034,SC2154
# shellcheck source=/dev/null
. production/scheduler.sh
profile=production/profiles/config_$stage.json
last_run=var/$stage/$branch/metaflow-run

ready() {
    [ -x "$command" ] || sh develop/setup.sh
    python=$(cd "$(dirname "$python")" && pwd)/python
    sed -n 's/^ *"\(.*\)": "",*$/\1/p' "$profile" | while read -r key; do
        [ -n "$(printenv "$key")" ] || fail "$profile: $key is empty: production/README.md says what belongs there"
    done
    known=$(reachable 2>&1) || fail "$scheduler does not answer: $(echo "$known" | tail -n 1)"
}

# Metaflow on the flow of a folder, as this stage and branch. Whoever deploys, the user is the same, as Metaflow lets no
# other redeploy; what it calls the production branch is any branch's production.
flow() {
    from=$1
    shift
    [ "$stage" != production ] || set -- --production "$@"
    home=$PWD
    (
        cd "$from" || exit
        export METAFLOW_HOME="$home/production/profiles" METAFLOW_PROFILE="$stage" METAFLOW_USER="$project"
        export METAFLOW_TOKEN_HOME="$home/var/metaflow" "${prefix}_STAGE=$stage" "${prefix}_BRANCH=$branch"
        export "${prefix}_COMMIT=$commit"
        exec "$python" production/flow.py --no-pylint --datastore s3 --branch "$(echo "$branch" | tr - _)" "$@"
    )
}

there() {
    (
        collect_secrets
        for file in "$given"/*; do
            [ ! -f "$file" ] || export "$(basename "$file")=$(cat "$file")"
        done
        rm -r "$given"
        export "${prefix}_BRANCH=$branch" "${prefix}_COMMIT=$commit" "${prefix}_IMAGE=$reference"
        exec "$command" "$@"
    )
}

# The flow, the package and the settings come out of the image, so that a rollback brings back all of them.
charge() {
    taken=$(mktemp -d)
    container=$(docker create "$reference")
    docker cp --quiet "$container:/app/." "$taken"
    docker cp --quiet "$container:/opt/app/$package" "$taken"
    docker rm "$container" >/dev/null
    collect_secrets
    secrets=$(METAFLOW_HOME=production/profiles METAFLOW_PROFILE=$stage "$python" production/vault.py keep "$name" "$given") ||
        fail "the secrets cannot be kept: nothing was deployed"
    rm -r "$given"
    minutes=$("$python" -m "$package.ops.settings" "$stage" schedule.deadline_minutes)
    variables="{\"${prefix}_STAGE\": \"$stage\", \"${prefix}_BRANCH\": \"$branch\", \"${prefix}_IMAGE\": \"$reference\"}"
    PYTHONPATH=$taken place "$taken" --quiet --with "environment:vars=$variables" "$scheduler" create --tag "git:$commit" \
        --workflow-timeout "$(echo "$minutes" | awk '{ print int(60 * $1) }')" >&2 ||
        fail "$scheduler did not take the flow"
    rm -r "$taken"
}

begin() {
    mkdir -p "$(dirname "$last_run")"
    flow . --quiet "$scheduler" trigger --run-id-file "$last_run" >&2
    cat "$last_run"
}

watch() {
    run=$(cat "$last_run")
    latest=$(($(date +%s) + $1 * 60))
    while [ "$(date +%s)" -lt "$latest" ]; do
        case $(outcome "$run" 2>&1 | tr '[:upper:]' '[:lower:]') in
        *succeeded) return ;;
        *failed | *error | *aborted | *timed_out) return 1 ;;
        esac
        sleep 5
    done
    return 1
}

# Of each task that has begun, what it printed; Metaflow keeps it in the bucket.
engine_logs() {
    run=${RUN:-$(cat "$last_run" 2>/dev/null)} || fail "RUN= has to say which run: none was begun from here"
    for step in start check train evaluate gate recommend publish end; do
        printed=$(flow . --quiet logs --both "$run/$step" 2>/dev/null) || break
        say "$step"
        printf '%s\n' "$printed"
    done
}

withdraw() {
    flow . --quiet "$scheduler" delete >&2 || true
    METAFLOW_HOME=production/profiles METAFLOW_PROFILE=$stage "$python" production/vault.py remove "$name"
}
