#!/bin/sh
# The stand-in for the official PostgreSQL image starts as that one does: the same variables, the same order of events.
set -eu
[ "$1" = postgres ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
    install -d -o postgres -g postgres -m 700 "$PGDATA"
    install -d -o postgres -g postgres /run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=${POSTGRES_USER:-postgres}
    database=${POSTGRES_DB:-$user}
    [ -z "${POSTGRES_PASSWORD_FILE:-}" ] || POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
    [ -n "${POSTGRES_PASSWORD:-}" ] || {
        echo "Error: Database is uninitialized and superuser password is not specified." >&2
        exit 1
    }
    printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
    initdb --pgdata="$PGDATA" --username="$user" --pwfile=/tmp/password --auth-local=trust --auth-host=trust >/dev/null
    rm /tmp/password
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl --pgdata="$PGDATA" -o "-c listen_addresses=" --wait start >/dev/null
    [ "$database" = postgres ] || createdb --username="$user" "$database"
    for file in /docker-entrypoint-initdb.d/*.sql; do
        [ ! -e "$file" ] || psql -v ON_ERROR_STOP=1 --no-psqlrc -U "$user" -d "$database" -f "$file"
    done
    pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop >/dev/null
fi
exec "$@" -c "listen_addresses=*"
