#!/bin/sh
# Look at a stage where it is deployed, with the words that every stage has: look.sh status | logs | results, with options.
# And do a day that was missed: look.sh run --date DAY
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

# A line for a stage that is deployed; nothing where it is not.
status_line() {
    (ready && on_stage status --stage "$stage" --json) 2>/dev/null | grep '^{' || true
}

logs() {
    case ${RUN:-}${FOLLOW:-} in
    scheduler* | 1) engine_logs ;;
    *) on_stage logs "$@" ;;
    esac
}

results() {
    shown=$(on_stage results "$@")
    printf '%s\n' "$shown"
    printf '%s\n' "$shown" | sed -n -e 's/^report   //p' -e 's/^  "report": "\(.*\)",$/\1/p' | while read -r report; do
        # so that it can be opened here
        folder=$(dirname "$report")
        mkdir -p "$folder"
        on_stage report --stage "$stage" --run "$(basename "$folder")" >"$report" </dev/null
    done
}

run() {
    ready
    deployed || fail "nothing is deployed from branch $branch: make deploy"
    on_stage run --stage "$stage" "$@"
}

case $1 in
logs | results)
    why=$(ready 2>&1) || fail "${why#*: }"
    if ! deployed; then # what was run here by hand
        if [ "$stage" = develop ] && [ -f develop/compose.yaml ]; then
            exec sh develop/container.sh look "$@"
        fi
        exec "$command" "$@"
    fi
    ;;
esac
"$@"
