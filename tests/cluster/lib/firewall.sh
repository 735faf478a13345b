# kube-router as the nodes' firewall: NetworkPolicies are enforced while it runs. It writes all of its rules again whenever a
# pod comes or goes, so only those who ask for it have it.

firewall_health_port=20244

firewall_program() {
    local hash folder
    hash=$(cat "$here"/firewall/go.mod "$here"/firewall/go.sum | sha256sum)
    folder=$cache/firewall-${hash:0:12}
    if [[ ! -x $folder/kube-router ]]; then
        require_go
        mkdir -p "$folder"
        say "building kube-router (about 2 minutes on 2 cores when nothing is cached)"
        (
            cd "$here/firewall" && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -buildvcs=false -trimpath -ldflags "-s -w" \
                -o "$folder/.unfinished" github.com/cloudnativelabs/kube-router/v2/cmd/kube-router \
                2> >(grep -v '^go: downloading ' >&2)
        ) || refuse "Go could not build kube-router; its messages are above."
        mv "$folder/.unfinished" "$folder/kube-router"
    fi
    echo "$folder/kube-router"
}

start_firewall() {
    local program node
    install_packages ipset
    program=$(firewall_program)
    for node in "${nodes[@]}"; do
        unless_running "$node-firewall" "$node/system" $(enter "$node") "$program" --kubeconfig "$kubeconfig" \
            --hostname-override "$node" --run-firewall=true --run-router=false --run-service-proxy=false --enable-cni=false \
            --service-cluster-ip-range "$service_network" --health-port "$firewall_health_port"
    done
    for node in "${nodes[@]}"; do
        settled "its first rules" 60 "$node-firewall" has_firewall "$node"
    done
}

has_firewall() { inside "$1" iptables-save --table filter | grep -q '^:KUBE-NWPLCY-DEFAULT '; }

stop_firewall() {
    local node
    for node in "${nodes[@]}"; do
        if is_running "$node-firewall"; then
            kill -KILL "$(process_id "$node-firewall")"
            await 10 "the end of the firewall of $node" firewall_ended "$node"
        fi
        # shellcheck disable=SC2016
        inside "$node" bash -ec '
            iptables-save --table filter | grep -vE "KUBE-(ROUTER|POD-FW|NWPLCY)" | iptables-restore --table filter
            if command -v ipset >/dev/null; then ipset destroy; fi'
    done
}
firewall_ended() { ! is_running "$1-firewall"; }

firewall() {
    case ${1:-} in
        start) exclusively start_firewall ;;
        stop) exclusively stop_firewall ;;
        *) refuse "say 'firewall start' or 'firewall stop'." ;;
    esac
}
