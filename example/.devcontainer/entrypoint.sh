#!/bin/sh
# A workspace of root's, as a rootless engine's is too, can be written by UID 0 alone: there, `app` is that.
[ "$(stat --format=%u /workspaces/*)" != 0 ] || sed -i 's/^app:x:[0-9]*:[0-9]*:/app:x:0:0:/' /etc/passwd
exec "$@"
