#!/bin/sh
# Look at a stage where it is deployed, with the words that every stage has: look.sh status | logs | results, with options.
# And do a day that was missed, with the active version: look.sh run --date DAY
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/../develop/prelude.sh"
cd "$(dirname "$0")/.."
# shellcheck source=production/host.sh
. production/host.sh

status() {
    if [ -f develop/compose.yaml ]; then
        set -- sh develop/container.sh look status --deployed - "$@"
    else
        set -- "$command" status --deployed - "$@"
    fi
    {
        [ -n "${STAGE:-}" ] || STAGE=develop sh "$0" status_line
        status_line
    } | "$@"
}

# A line for a stage that is deployed. Nothing where it is not, or no engine answers: then it is looked for here, unless
# production's database is there only.
status_line() {
    on_stage status --stage "$stage" --json 2>/dev/null || {
        [ "$stage" = production ] && [ -f production/compose.yaml ] && [ -z "$(printenv "${prefix}_DATABASE__URL")" ] &&
            echo '{"stage": "production"}'
    } || true
}

logs() {
    if [ "${RUN:-}" = scheduler ]; then
        docker logs ${FOLLOW:+--follow} "$name" 2>&1
    else
        on_stage logs "$@"
    fi
}

results() {
    shown=$(on_stage results "$@")
    printf '%s\n' "$shown"
    printf '%s\n' "$shown" | sed -n -e 's/^report   //p' -e 's/^  "report": "\(.*\)",$/\1/p' | while read -r report; do
        # so that it can be opened here
        mkdir -p "$(dirname "$report")"
        docker cp --quiet "$name:/app/$report" "$report"
    done
}

run() {
    docker container inspect "$name" >/dev/null 2>&1 || fail "nothing is deployed from branch $branch: make deploy"
    on_stage run --stage "$stage" "$@"
}

case $1 in
logs | results)
    if ! docker container inspect "$name" >/dev/null 2>&1; then # nothing is deployed: what was run here by hand
        if [ "$stage" = develop ] && [ -f develop/compose.yaml ]; then
            exec sh develop/container.sh look "$@"
        fi
        exec "$command" "$@"
    fi
    ;;
esac
"$@"
