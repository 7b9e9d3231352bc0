# Sourced where CI's secrets hold the way to a Docker host: SSH_KEY, a private key, and SSH_KNOWN_HOSTS, the host's own.
# docker calls the first `ssh` on the PATH: this one, whose connection all its calls share, until the end.
# shellcheck shell=sh
ssh=$(mktemp -d)
real=$(command -v ssh)
(umask 077 && printf '%s\n' "$SSH_KEY" >"$ssh/key")
printf '%s\n' "${SSH_KNOWN_HOSTS:-}" >"$ssh/known_hosts"
unset SSH_KEY
cat >"$ssh/ssh" <<END
#!/bin/sh
trap '' TERM # which docker's ssh gets also when no more than a thread of docker's ends
$real -i $ssh/key -o IdentitiesOnly=yes -o UserKnownHostsFile=$ssh/known_hosts -o StrictHostKeyChecking=yes \\
    -o ControlMaster=auto -o ControlPath=$ssh/%C.socket -o ControlPersist=60 "\$@"
END
chmod +x "$ssh/ssh"
PATH=$ssh:$PATH

leave_host() {
    for socket in "$ssh"/*.socket; do
        [ ! -S "$socket" ] || "$real" -o ControlPath="$socket" -O exit host 2>/dev/null || true
    done
    rm -rf "$ssh"
}
trap leave_host EXIT
