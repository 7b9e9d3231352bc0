# Sourced where CI's secrets hold the way to a Docker host: SSH_KEY, a private key, and SSH_KNOWN_HOSTS, the host's own.
# docker calls the first `ssh` on the PATH: this one, whose connection all its calls share.
# shellcheck shell=sh
ssh=$(mktemp -d)
trap 'rm -rf "$ssh"' EXIT
(umask 077 && printf '%s\n' "$SSH_KEY" >"$ssh/key")
printf '%s\n' "${SSH_KNOWN_HOSTS:-}" >"$ssh/known_hosts"
unset SSH_KEY
cat >"$ssh/ssh" <<END
#!/bin/sh
exec $(command -v ssh) -i $ssh/key -o IdentitiesOnly=yes -o UserKnownHostsFile=$ssh/known_hosts \\
    -o StrictHostKeyChecking=yes -o ControlMaster=auto -o ControlPath=$ssh/%C -o ControlPersist=10 "\$@"
END
chmod +x "$ssh/ssh"
PATH=$ssh:$PATH
