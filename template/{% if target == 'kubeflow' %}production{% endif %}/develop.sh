# Sourced by container.sh: the steps are executed as they are there, as one graph, by Kubeflow's own local runner.
# shellcheck shell=sh disable=SC2154
run_id=$(date -u +%Y%m%dT%H%M%S)-$$
[ -x "$command" ] || sh develop/setup.sh # as in CI
docker tag "$image" "$project:$slug"     # the runner knows images by their names, and the engine by this variable
DOCKER_HOST=$(docker context inspect --format '{{.Endpoints.docker.Host}}') \
    "$venv/bin/python" -W ignore -m production.graph "$name" "$project:$slug" "$run_id" --user "$(whoever)" "$@"
here "$@" "$image" results --stage develop --run "$run_id" # fails without rows, whatever the runner took for a success
