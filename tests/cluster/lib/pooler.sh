# PgBouncer before the PostgreSQL server, for what a node does and says through a pooler.

pooler_port=16432

# Only unpacked: the package would start a server of its own.
pooler_program() {
    local folder=$cache/pgbouncer
    if [[ ! -x $folder/usr/sbin/pgbouncer ]]; then
        install_packages libc-ares2 libevent-2.1-7
        say "unpacking PgBouncer"
        rm -rf "$folder"
        install -d -m 755 "$folder"
        (cd "$folder" && { apt-get download -qq pgbouncer >/dev/null 2>&1 || { apt-get update -qq && apt-get download -qq pgbouncer >/dev/null; }; }) ||
            refuse "apt-get could not download pgbouncer."
        dpkg-deb --extract "$folder"/pgbouncer_*.deb "$folder"
        rm -f "$folder"/pgbouncer_*.deb
    fi
    echo "$folder/usr/sbin/pgbouncer"
}

# start_pooler session|transaction
start_pooler() {
    local program connections=60
    # One for all transactions: where there are several, that of a client may still bear its name when nobody uses it.
    [[ $1 == transaction ]] && connections=1
    program=$(pooler_program)
    # The cache may lie where only its owner may look.
    install -d -o postgres -g postgres -m 700 "$state/pooler"
    install -o postgres -g postgres -m 700 "$program" "$state/pooler/pgbouncer"
    cat >"$state/pooler/pgbouncer.ini" <<END
[databases]
* = host=$machine_address port=$postgres_port user=chainlink password=$postgres_password
[pgbouncer]
listen_addr = $machine_address
listen_port = $pooler_port
unix_socket_dir =
auth_type = any
pool_mode = $1
max_client_conn = 200
default_pool_size = $connections
ignore_startup_parameters = extra_float_digits,options
server_login_retry = 1
query_wait_timeout = 10
END
    unless_running pooler control setpriv --reuid postgres --regid postgres --init-groups \
        "$state/pooler/pgbouncer" --quiet "$state/pooler/pgbouncer.ini"
    settled "accepting connections" 30 pooler "$(postgres_programs)/pg_isready" --host "$machine_address" --port "$pooler_port"
}

# At once, with all connections through it: which signal does that otherwise depends on PgBouncer's version.
stop_pooler() {
    is_running pooler || return 0
    kill -KILL "$(process_id pooler)"
    await 30 "the end of PgBouncer" pooler_ended
}
pooler_ended() { ! is_running pooler; }

pooler_url() { echo "postgresql://chainlink:$postgres_password@$machine_address:$pooler_port/$1?sslmode=disable"; }
