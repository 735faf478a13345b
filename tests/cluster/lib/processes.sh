# Starting the long-running programs, and knowing whether they run.

# launch NAME GROUP COMMAND...: starts COMMAND in the control group GROUP, detached; its output goes
# to logs/NAME.log, its id to run/NAME.pid.
launch() {
    local name=$1 group
    group=$(cgroup_home)/$cgroup_tree/$2
    shift 2
    rm -f "$state/run/$name.pid"
    # shellcheck disable=SC2016
    setsid bash -c 'echo $$ >"$1/cgroup.procs" && echo $$ >"$2" && shift 2 && exec "$@"' \
        launch "$group" "$state/run/$name.pid" "$@" \
        </dev/null >>"$state/logs/$name.log" 2>&1 9>&- &
    await 10 "the start of $name" test -s "$state/run/$name.pid"
}

# A recorded id counts only while that process is in the cluster's own control groups: after a
# reboot the same number may belong to anything.
is_running() {
    local id
    id=$(cat "$state/run/$1.pid" 2>/dev/null) || return 1
    [[ -n $id ]] && grep -qE "[:/]$cgroup_tree/" "/proc/$id/cgroup" 2>/dev/null
}

process_id() { cat "$state/run/$1.pid"; }

# unless_running NAME GROUP COMMAND...
unless_running() {
    is_running "$1" || launch "$@"
}

# settled WHAT SECONDS NAME COMMAND...: waits for COMMAND, and gives up at once when NAME has ended.
settled() {
    local what=$1 deadline=$((SECONDS + $2)) name=$3
    shift 3
    until "$@" >/dev/null 2>&1; do
        is_running "$name" || {
            tail -n 5 "$state/logs/$name.log" >&2
            refuse "$name ended instead of $what; the end of its log is above, all of it is in $state/logs/$name.log."
        }
        ((SECONDS < deadline)) || refuse "$name: $what took too long; its log is $state/logs/$name.log."
        sleep 0.2
    done
}
