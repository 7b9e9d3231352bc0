#!/bin/sh
# Look at production from here, with the words that every stage has: look.sh status | logs | results, with options.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=template/production/host.sh
. production/host.sh

status() {
    if [ -f develop/compose.yaml ]; then
        set -- sh develop/container.sh look status --production - "$@"
    else
        set -- "$command" status --production - "$@"
    fi
    tell | "$@"
}

# Nothing where nothing is deployed, or no engine answers: then it is looked for here, unless its database is there only.
tell() {
    there status --stage production --json 2>/dev/null ||
        { [ -f production/compose.yaml ] && [ -z "$(printenv "${prefix}_DATABASE__URL")" ] && echo '{"stage": "production"}'; } ||
        true
}

logs() {
    if [ "${RUN:-}" = scheduler ]; then
        exec docker logs ${FOLLOW:+--follow} "$name" 2>&1
    fi
    there logs "$@"
}

results() {
    shown=$(there results "$@")
    printf '%s\n' "$shown"
    report=$(printf '%s\n' "$shown" | sed -n 's/^report   //p')
    if [ -n "$report" ]; then # so that it can be opened here
        mkdir -p "$(dirname "$report")"
        docker cp --quiet "$name:/app/$report" "$report"
    fi
}

if [ "$1" != status ] && ! docker container inspect "$name" >/dev/null 2>&1; then
    exec "$command" "$@" # nothing is deployed: what was run here by hand
fi
"$@"
