#!/bin/bash
# gitlab-ci-local's helper, which is given a command, and its wait, which is given HOST:PORT -t SECONDS, in one.
case $1 in
*:*)
    for ((i = 0; i < 5 * ${3:-30}; i++)); do
        (exec 3<>"/dev/tcp/${1%%:*}/${1##*:}") 2>/dev/null && exit 0
        sleep 0.2
    done
    exit 1
    ;;
esac
exec "$@"
