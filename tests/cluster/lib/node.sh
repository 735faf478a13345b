# One node: containerd, kubelet and kube-proxy in the node's own network and mount namespaces.
#
# The mount namespace gives each node its own /var/lib/kubelet, /var/lib/containerd, /run/containerd
# and so on at the usual paths, and takes every mount with it when the node's processes end.
# A 'holder' process keeps it alive; the others enter it.
# shellcheck disable=SC2046  # the words of 'enter' are several on purpose

start_nodes() {
    local node waiting=()
    say "starting ${#nodes[@]} nodes"
    for node in "${nodes[@]}"; do
        recover_node "$node"
        start_containerd "$node"
    done
    for node in "${nodes[@]}"; do settled "answering" 60 "$node-containerd" runtime "$node" version; done
    load_pause_image
    for node in "${nodes[@]}"; do start_kubelet "$node"; done
    for node in "${nodes[@]}"; do
        settled "being Ready" 120 "$node-kubelet" node_is_ready "$node"
        settled "serving its health" 60 "$node-kube-proxy" answers "$(node_address "$node")" 10256
        say "$node is Ready"
    done
}

# Ready, and said by the kubelet that runs now: after a 'stop' the old word still stands for a while.
node_is_ready() {
    local ready said started
    read -r ready said < <(kubectl get node "$1" \
        -o 'jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{"\n"}{end}')
    started=$(date --utc --date "@$(stat -c %Y "$state/run/$1-kubelet.pid")" +%FT%TZ)
    [[ $ready == True && ! $said < $started ]]
}

start_containerd() {
    local node=$1 folder
    folder=$(node_folder "$node")
    if is_running "$node-holder" && is_running "$node-containerd"; then return; fi
    end_processes "$node"
    mkdir -p "$folder"/{kubelet,containerd,cni-state,log,cni-config}
    make_mount_points
    write_containerd_config "$node"
    write_cni_config "$node"

    # shellcheck disable=SC2016
    launch "$node-holder" "$node/system" nsenter --net="/run/netns/$(node_namespace "$node")" \
        unshare --mount --propagation private bash -c '
            set -e
            mount --bind "$1/kubelet" /var/lib/kubelet
            mount --make-shared /var/lib/kubelet
            mount --bind "$1/containerd" /var/lib/containerd
            mount --bind "$1/cni-state" /var/lib/cni
            mount --bind "$1/log" /var/log
            mount -t tmpfs -o mode=755 tmpfs /run/containerd
            touch /run/containerd/mounted
            exec sleep infinity' holder "$folder"
    settled "mounting" 10 "$node-holder" inside "$node" test -e /run/containerd/mounted
    launch "$node-containerd" "$node/system" $(enter "$node") env PATH="$tools:$PATH" \
        "$tools/containerd" --config "$folder/containerd.toml"
}

start_kubelet() {
    local node=$1 folder certificates=$state/certificates
    folder=$(node_folder "$node")
    # kube-proxy ends when its configuration file is written again, even with the same text.
    is_running "$node-kubelet" || write_kubelet_config "$node"
    is_running "$node-kube-proxy" || write_kube_proxy_config "$node"
    unless_running "$node-kubelet" "$node/system" $(enter "$node") env PATH="$tools:$PATH" \
        "$tools/kubelet" --config "$folder/kubelet.yaml" --kubeconfig "$certificates/$node.kubeconfig" \
        --hostname-override "$node" --node-ip "$(node_address "$node")" \
        --node-labels "topology.kubernetes.io/zone=$(node_zone "$node")"
    unless_running "$node-kube-proxy" "$node/system" $(enter "$node") \
        "$tools/kube-proxy" --config "$folder/kube-proxy.yaml"
}

# enter NODE: the words that put a command into the node's namespaces.
enter() { echo "nsenter --target $(process_id "$1-holder") --mount --net --"; }

inside() {
    local node=$1
    shift
    # shellcheck disable=SC2046
    $(enter "$node") "$@"
}

# runtime NODE ARGUMENTS...: ctr, for the containers and images that kubelet uses.
runtime() {
    local node=$1
    shift
    inside "$node" timeout 300 "$tools/ctr" --address /run/containerd/containerd.sock --namespace k8s.io "$@"
}

# The places that a node mounts its own folders over. Those that the machine lacks are made, and
# 'down' removes them again.
make_mount_points() {
    local folder
    for folder in /var/lib/kubelet /var/lib/containerd /var/lib/cni /run/containerd; do
        if [[ ! -d $folder ]]; then
            mkdir "$folder"
            echo "$folder" >>"$state/mount-points"
        fi
    done
}

write_containerd_config() {
    cat >"$(node_folder "$1")/containerd.toml" <<END
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.blockfile"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "$pause_image"
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "$state/registries"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true  # lowering the score may be forbidden where the cluster itself runs in a container
  netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["$tools"]
  conf_dir = "$(node_folder "$1")/cni-config"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  BinaryName = "$(command -v runc)"
  SystemdCgroup = false
END
}

# 'ptp' gives each pod a cable of its own and routes everything, so that a Service works between two
# pods of one node without the kernel's br_netfilter, which 'bridge' would need.
write_cni_config() {
    cat >"$(node_folder "$1")/cni-config/pods.conflist" <<END
{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {
      "type": "ptp",
      "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": "$(node_pods "$1")"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
END
}

write_kubelet_config() {
    # No name is served: a look-up is refused at once, instead of waiting for a server that is not there.
    echo "nameserver $machine_address" >"$state/resolv.conf"
    cat >"$(node_folder "$1")/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $state/certificates/ca.crt}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup_tree/$1
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
evictionHard: {nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100  # images are loaded from files: none may be collected
resolvConf: $state/resolv.conf
clusterDNS: [$machine_address]
volumePluginDir: /var/lib/kubelet/volume-plugins
END
}

write_kube_proxy_config() {
    cat >"$(node_folder "$1")/kube-proxy.yaml" <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: $1
clusterCIDR: $pod_network
clientConnection: {kubeconfig: $state/certificates/kube-proxy.kubeconfig}
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
END
}
