# Sourced by host.sh: a stage as a flow on Metaflow's scheduler, by Metaflow's own commands.
# shellcheck shell=sh disable=SC2034,SC2154
# shellcheck source=/dev/null
. production/scheduler.sh
profile=production/profiles/config_$stage.json
python=$venv/bin/python                # where Metaflow is
flow_branch=$(echo "$branch" | tr - _) # as Metaflow allows it
export METAFLOW_HOME="$PWD/production/profiles" METAFLOW_PROFILE="$stage" METAFLOW_TOKEN_HOME="$PWD/var/metaflow"
export METAFLOW_USER="$project" # whoever deploys: Metaflow lets no other user deploy anew

ready() {
    [ -x "$command" ] || sh develop/setup.sh
    sed -n 's/^ *"\(.*\)": "",*$/\1/p' "$profile" | while read -r key; do
        [ -n "$(printenv "$key")" ] || fail "$profile: $key is empty; production/README.md says what belongs there"
    done
    said=$(secret_store names 2>&1) || fail "no scheduler to deploy to: ${said#error: }"
}

deployed() { secret_store where >/dev/null 2>&1; }

active_version() { ! deployed || on_stage active --stage "$stage" 2>/dev/null || true; }

secret_store() {
    verb=$1
    shift
    "$python" production/secret_store.py "$verb" "$name" "$@"
}

# Metaflow's command line for the flow in a folder, as of this stage and branch.
flow() {
    from=$1
    shift
    [ "$stage" != production ] || set -- --production "$@"
    set -- "$(cd "$(dirname "$python")" && pwd)/python" production/flow.py --no-pylint --datastore s3 --branch "$flow_branch" "$@"
    (cd "$from" && env "${prefix}_STAGE=$stage" "${prefix}_BRANCH=$branch" "${prefix}_COMMIT=$commit" "$@")
}

# The command line here, with the stage's secrets.
on_stage() {
    set -- "$command" "$@"
    [ -z "${reference:-}" ] || set -- "${prefix}_COMMIT=$commit" "${prefix}_IMAGE=$reference" "$@"
    secret_store run env "${prefix}_BRANCH=$branch" "$@"
}

# The command line in the candidate's image, with the stage's secrets and, as tasks have, with the rights to the store.
on_candidate() {
    set -- "$image" "$@"
    for variable in $(secret_store names) $(env | sed -n 's/^\(AWS_[A-Z_]*\)=.*/\1/p') "${prefix}_BRANCH"; do
        set -- --env "$variable" "$@"
    done
    secret_store run env "${prefix}_BRANCH=$branch" docker run --rm --init --network host --read-only --tmpfs /tmp \
        --mount type=tmpfs,target=/app/var,tmpfs-mode=1777 --cap-drop ALL --security-opt no-new-privileges "$@"
}

secrets() {
    secret_store keep "$given" || fail "the secrets cannot be kept: nothing was deployed"
    say "secrets, as $name: $(secret_store names | tr '\n' ' ')"
    secret_store run "$python" production/preflight.py "$stage" || fail "nothing was deployed"
}

# The flow, its settings and the package come out of the image: what a rollback brings back is all of it. So do the steps,
# as pipeline.py may need libraries there that this machine lacks.
activate() {
    taken=$(mktemp -d)
    container=$(docker create "$image")
    docker cp --quiet "$container:/app/." "$taken"
    docker cp --quiet "$container:/opt/app/$package" "$taken"
    docker rm "$container" >/dev/null
    if [ -f "$taken/production/steps.py" ]; then
        in_image production/steps.py >"$taken/steps.py" || fail "no steps in $image: the old version stays in charge"
        mv "$taken/steps.py" "$taken/production/steps.py"
    fi
    minutes=$(settings schedule.deadline_minutes)
    variables="{\"${prefix}_STAGE\": \"$stage\", \"${prefix}_BRANCH\": \"$branch\", \"${prefix}_IMAGE\": \"$reference\"}"
    seconds=$(awk -v minutes="$minutes" 'BEGIN { printf "%d", 60 * minutes }')
    (
        export PYTHONPATH="$taken"
        place "$taken" --quiet --with "environment:vars=$variables" "$scheduler" create --tag "git:$commit" \
            --workflow-timeout "$seconds"
    ) || fail "the scheduler refuses $commit: the old version stays active"
    rm -r "$taken"
}

run_once() { flow . --quiet "$scheduler" trigger; }

# The runs, the newest first, and what that one's last step printed, which Metaflow keeps in its bucket.
engine_logs() {
    begun=$(runs)
    [ -n "$begun" ] || fail "no run yet"
    printf '%s\n' "$begun" | head -n 10
    for step in $("$python" production/steps.py newest) start; do
        ! printed=$(flow . --quiet logs --both "${begun%% *}/$step" 2>/dev/null) || break
    done
    printf '%s\n' "$step:" "$printed"
}

uninstall() {
    flow . --quiet "$scheduler" delete || true
    secret_store remove
    say "removed $name with its secrets; what is in a database or a store stays"
}
