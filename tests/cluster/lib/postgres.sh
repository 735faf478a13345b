# A PostgreSQL beside the cluster, reached from pods and from the machine at the same address.

start_postgres() {
    local programs data=$state/postgres/data
    programs=$(postgres_programs)
    if is_running postgres; then return; fi
    if [[ ! -e $state/postgres/complete ]]; then
        say "making PostgreSQL's data folder"
        rm -rf "$state/postgres"
        install -d -o postgres -g postgres -m 700 "$state/postgres" "$state/postgres/socket"
        as_postgres test -w "$state/postgres" || refuse "the user postgres cannot reach $state: choose a state folder whose parents everybody may enter."
        as_postgres "$programs/initdb" --pgdata "$data" --username postgres --auth trust --encoding UTF8 --no-locale --no-sync \
            >>"$state/logs/initdb.log" 2>&1 || refuse "initdb failed; see $state/logs/initdb.log."
        cat >>"$data/postgresql.conf" <<END
listen_addresses = '$machine_address'
port = $postgres_port
unix_socket_directories = '$state/postgres/socket'
max_connections = 300
shared_buffers = 64MB
fsync = off
full_page_writes = off
log_connections = off
log_disconnections = off
END
        cat >"$data/pg_hba.conf" <<END
local all all trust
host all all $node_network scram-sha-256
host all all $pod_network scram-sha-256
END
    fi
    # The network's address may have gone and come back since: stale files stop nothing.
    rm -f "$data/postmaster.pid"
    unless_running postgres control setpriv --reuid postgres --regid postgres --init-groups "$programs/postgres" -D "$data"
    settled "accepting connections" 60 postgres "$programs/pg_isready" --host "$machine_address" --port "$postgres_port"
    if [[ ! -e $state/postgres/complete ]]; then
        psql_as_owner --quiet --command "CREATE ROLE chainlink LOGIN CREATEDB PASSWORD '$postgres_password'"
        touch "$state/postgres/complete"
    fi
    say "PostgreSQL answers at $machine_address:$postgres_port"
}

# SIGINT is PostgreSQL's 'fast' stop: sessions are ended, data is kept. SIGQUIT is a crash.
stop_postgres() {
    is_running postgres || return 0
    kill -"${1:-INT}" "$(process_id postgres)"
    await 30 "the end of PostgreSQL" postgres_ended
}
postgres_ended() { ! is_running postgres; }

as_postgres() { setpriv --reuid postgres --regid postgres --init-groups "$@"; }

psql_as_owner() {
    PGOPTIONS='-c default_transaction_read_only=off' "$(postgres_programs)/psql" --no-psqlrc \
        --set ON_ERROR_STOP=1 --host "$state/postgres/socket" --port "$postgres_port" --username postgres "$@"
}

# Every session, also those that are open, refuses writes from its next transaction on.
set_readonly() {
    psql_as_owner --quiet --command "ALTER SYSTEM SET default_transaction_read_only = $1" --command "SELECT pg_reload_conf()" >/dev/null
}

database_url() { echo "postgresql://chainlink:$postgres_password@$machine_address:$postgres_port/$1?sslmode=disable"; }

drop_database() {
    [[ $1 =~ ^[a-z_][a-z0-9_-]{0,62}$ ]] || refuse "'$1' is no name for a database: use lower-case letters, digits, _ and -."
    psql_as_owner --quiet --command "DROP DATABASE IF EXISTS \"$1\" WITH (FORCE)" 2>/dev/null
}

fresh_database() {
    drop_database "$1"
    psql_as_owner --quiet --command "CREATE DATABASE \"$1\" OWNER chainlink"
}
