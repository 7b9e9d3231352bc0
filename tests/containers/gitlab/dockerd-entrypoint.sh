#!/bin/sh
# As docker:29-dind's, without TLS: an engine of its own on port 2375. It reaches the tests' registry, which is on the
# machine's loopback, on its own; and it has from the start what is in /tests/seed, an engine's data, whose big layers
# stay where they are, as they never change.
set -eu
if [ -d /tests/seed ]; then
    tar -C /tests/seed -c --exclude-from=/tests/seed/layers . | tar -C /var/lib/docker -x
    while read -r layer; do ln -s "/tests/seed/$layer" "/var/lib/docker/$layer"; done </tests/seed/layers
fi
case ${CI_REGISTRY-} in
127.0.0.1:*) socat "TCP-LISTEN:${CI_REGISTRY#*:},bind=127.0.0.1,fork,reuseaddr" UNIX-CONNECT:/tests/registry/socket & ;;
esac
mkdir -p /etc/docker
echo '{"features": {"containerd-snapshotter": true}}' >/etc/docker/daemon.json # 29's default
exec dockerd --host=unix:///var/run/docker.sock --host=tcp://0.0.0.0:2375 "$@"
