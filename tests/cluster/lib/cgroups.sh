# Everything that the cluster starts lives in one tree of control groups, by which it is found
# again: to freeze a node with all its pods, and to end every process, also after a crash.
#
#   chainlink-operator-test            control plane and PostgreSQL
#   chainlink-operator-test/node-1     kubelet's cgroupRoot: it makes the pods' groups below
#   chainlink-operator-test/node-1/system      containerd, its shims, kubelet, kube-proxy

cgroup_tree=chainlink-operator-test
cgroups=/sys/fs/cgroup

# Version 2 alone, or the hierarchies of version 1 (a 'hybrid' machine counts as version 1).
cgroup_version() {
    [[ $(stat -fc %T "$cgroups") == cgroup2fs ]] && echo 2 || echo 1
}

# The hierarchy in which the tree is kept by us: the one that can freeze.
cgroup_home() {
    if [[ $(cgroup_version) == 2 ]]; then echo "$cgroups"; else echo "$cgroups/freezer"; fi
}

make_cgroups() {
    local hierarchy node path
    if [[ $(cgroup_version) == 2 ]]; then
        enable_controllers "$cgroups"
        mkdir -p "$cgroups/$cgroup_tree/control"
        enable_controllers "$cgroups/$cgroup_tree"
        for node in "${nodes[@]}"; do
            mkdir -p "$cgroups/$cgroup_tree/$node/system"
            enable_controllers "$cgroups/$cgroup_tree/$node"
        done
        return
    fi
    [[ -d $cgroups/freezer ]] || refuse "the kernel's cgroup 'freezer' is not mounted at $cgroups/freezer."
    for hierarchy in "$cgroups"/*/; do
        for path in "$cgroup_tree" "${nodes[@]/#/$cgroup_tree/}"; do
            mkdir -p "$hierarchy$path" 2>/dev/null || continue
            # A new cpuset is empty, and an empty one accepts no process.
            if [[ -e $hierarchy$path/cpuset.cpus ]]; then
                cat "${hierarchy}cpuset.cpus" >"$hierarchy$path/cpuset.cpus"
                cat "${hierarchy}cpuset.mems" >"$hierarchy$path/cpuset.mems"
            fi
        done
    done
    mkdir -p "$cgroups/freezer/$cgroup_tree/control"
    for node in "${nodes[@]}"; do mkdir -p "$cgroups/freezer/$cgroup_tree/$node/system"; done
}

enable_controllers() {
    local controller
    for controller in $(<"$1/cgroup.controllers"); do
        echo "+$controller" >"$1/cgroup.subtree_control" 2>/dev/null || true
    done
}

# members PART: the ids of all processes below chainlink-operator-test/PART (all, when empty).
members() {
    local top
    top=$(cgroup_home)/$cgroup_tree/${1:-}
    [[ -d $top ]] || return 0
    find "$top" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}

freeze() { set_frozen "$1" FROZEN 1; }
thaw()   { set_frozen "$1" THAWED 0; }
set_frozen() {
    local group
    group=$(cgroup_home)/$cgroup_tree/$1
    if [[ -e $group/freezer.state ]]; then
        echo "$2" >"$group/freezer.state"
    elif [[ -e $group/cgroup.freeze ]]; then
        echo "$3" >"$group/cgroup.freeze"
    fi
}

is_frozen() {
    local group
    group=$(cgroup_home)/$cgroup_tree/$1
    [[ $(cat "$group/freezer.state" "$group/cgroup.freeze" 2>/dev/null | head -1) =~ ^(FROZEN|FREEZING|1)$ ]]
}

# end_processes PART: kills them all, as a power cut would.
end_processes() {
    local deadline=$((SECONDS + 20)) found
    while mapfile -t found < <(members "$1"); ((${#found[@]})); do
        ((SECONDS < deadline)) || refuse "these processes could not be ended: ${found[*]}."
        kill -KILL "${found[@]}" 2>/dev/null || true
        sleep 0.1
    done
}

# Succeeds when none is left.
remove_cgroups() {
    local hierarchy left=0
    for hierarchy in "$cgroups" "$cgroups"/*/; do
        [[ -d ${hierarchy%/}/$cgroup_tree ]] || continue
        find "${hierarchy%/}/$cgroup_tree" -depth -type d -exec rmdir {} \; 2>/dev/null || true
        [[ ! -d ${hierarchy%/}/$cgroup_tree ]] || left=1
    done
    return "$left"
}
