# The cluster as a whole: from nothing to running, to rest, and back to nothing.

# exclusively COMMAND...: one of them at a time on a machine.
exclusively() {
    exec 9>/run/lock/chainlink-operator-test
    flock --nonblock 9 || {
        say "waiting for another 'cluster' command to end"
        flock 9
    }
    "$@"
}

build() {
    install_packages "${packages[@]}"
    build_tools
    echo "$tools"
}

up() {
    install_packages "${packages[@]}"
    build_tools
    require_disk "$state" 5
    touch "$state/chainlink-operator-test"
    chmod 711 "$state"
    mkdir -p "$state/run" "$state/logs"
    raise_inotify_limit
    make_cgroups
    make_certificates
    make_network
    start_control_plane
    start_postgres
    start_nodes
    say "the cluster is up"
    cat <<END
export KUBECONFIG=$kubeconfig
export PATH=$tools:\$PATH
END
}

resume() {
    require_cluster
    up
}

stop() {
    local node
    for node in "${nodes[@]}"; do
        thaw "$node"
        end_processes "$node"
    done
    stop_postgres
    end_processes ""
    say "all processes have ended; the state is kept in $state"
}

down() {
    local node folder
    if [[ -d $state && ! -e $state/chainlink-operator-test ]] && [[ -n $(ls -A "$state") ]]; then
        refuse "$state was not made by this program: nothing is removed."
    fi
    for node in "${nodes[@]}"; do thaw "$node"; done
    stop_postgres
    end_processes ""
    await 10 "the removal of the control groups" remove_cgroups
    remove_network
    # The nodes' mounts went with their namespaces; this is for whatever was mounted by hand.
    while read -r folder; do umount --lazy "$folder"; done < <(
        awk -v top="$state/" 'index($5, top) == 1 { print $5 }' /proc/self/mountinfo | sort -r
    )
    if [[ -e $state/mount-points ]]; then
        while read -r folder; do rmdir "$folder" 2>/dev/null || true; done <"$state/mount-points"
    fi
    rm -rf "$state"
    say "nothing is left of the cluster; the built programs stay in $cache"
}

# Three kubelets, containerds and proxies, each container's shim: the usual 128 is too few.
raise_inotify_limit() {
    local file=/proc/sys/fs/inotify/max_user_instances
    (($(<"$file") >= 1024)) || echo 1024 >"$file" || say "could not raise $file to 1024; programs may complain of too many open files"
}

status() {
    local node name pid_file
    if [[ ! -e $state/chainlink-operator-test ]]; then
        say "there is no cluster; '$(basename "$0") up' makes one"
        return
    fi
    printf '%-32s %-9s %8s %7s\n' PROGRAM STATE PID MEMORY
    for pid_file in "$state"/run/*.pid; do
        [[ -e $pid_file ]] || continue
        name=$(basename "$pid_file" .pid)
        if is_running "$name"; then
            printf '%-32s %-9s %8s %4d MB\n' "$name" running "$(process_id "$name")" \
                "$(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$(process_id "$name")/status")"
        else
            printf '%-32s %-9s\n' "$name" ended
        fi
    done
    for node in "${nodes[@]}"; do
        printf '%-32s %s\n' "$node" "$(node_presence "$node"), $(members "$node" | wc -l) processes"
    done
    if is_running kube-apiserver; then kubectl get nodes --output wide; fi
}
