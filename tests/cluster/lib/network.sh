# A node is a network namespace with a cable (veth) to a bridge; the machine sits at the same bridge.
# Each node has a range of pod addresses, reached through the node's own address.

make_network() {
    local node
    [[ -e $state/ip_forward ]] || cat /proc/sys/net/ipv4/ip_forward >"$state/ip_forward"
    echo 1 >/proc/sys/net/ipv4/ip_forward
    ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" type bridge
    ip address replace "$machine_address/${node_network#*/}" dev "$bridge"
    ip link set "$bridge" up
    let_through -I
    for node in "${nodes[@]}"; do make_node_network "$node"; done
}

make_node_network() {
    local node=$1 namespace link address other
    namespace=$(node_namespace "$node") link=$(node_link "$node") address=$(node_address "$node")
    if [[ ! -e /run/netns/$namespace ]]; then
        ip netns add "$namespace"
    fi
    if ! ip link show "$link" >/dev/null 2>&1; then
        ip link add "$link" type veth peer name eth0 netns "$namespace"
        ip link set "$link" master "$bridge" up
    fi
    ip -n "$namespace" link set lo up
    ip -n "$namespace" address replace "$address/${node_network#*/}" dev eth0
    ip -n "$namespace" link set eth0 up
    ip -n "$namespace" route replace default via "$machine_address"
    for other in "${nodes[@]}"; do
        [[ $other == "$node" ]] ||
            ip -n "$namespace" route replace "$(node_pods "$other")" via "$(node_address "$other")"
    done
    # nsenter, not 'ip netns exec': that one mounts another /sys, in which the control groups are missing.
    nsenter --net="/run/netns/$namespace" sysctl -qw net.ipv4.ip_forward=1
    ip route replace "$(node_pods "$node")" via "$address"
}

# Where Docker or a firewall has closed the machine, the nodes are let through to it and each other.
# let_through -I|-D
let_through() {
    local chain_and_rule
    for chain_and_rule in "INPUT -i $bridge" "FORWARD -i $bridge -o $bridge"; do
        # shellcheck disable=SC2086
        if [[ $1 == -D ]] || ! iptables -C $chain_and_rule -j ACCEPT 2>/dev/null; then
            iptables "$1" $chain_and_rule -j ACCEPT 2>/dev/null || true
        fi
    done
}

remove_network() {
    local node
    let_through -D
    for node in "${nodes[@]}"; do
        ip link delete "$(node_link "$node")" 2>/dev/null || true
        ip netns delete "$(node_namespace "$node")" 2>/dev/null || true
    done
    ip link delete "$bridge" 2>/dev/null || true
    if [[ -e $state/ip_forward ]]; then cat "$state/ip_forward" >/proc/sys/net/ipv4/ip_forward; fi
}
