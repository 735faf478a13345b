# Builds the cluster's programs from their Go modules (tools/), once per set of pinned versions.

# The folder's name is a hash of everything that decides what is built, so that a changed version
# gets a folder of its own, and an interrupted build leaves nothing that looks finished.
tools_folder() {
    local hash
    hash=$({ programs && cd "$here/tools" && cat -- */go.mod */go.sum pause/main.go; } | sha256sum)
    echo "$cache/tools-${hash:0:12}"
}

# One line a program: its file, the module folder under tools/, the package.
programs() {
    local name
    for name in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
        echo "$name kubernetes k8s.io/kubernetes/cmd/$name"
    done
    echo "etcd etcd go.etcd.io/etcd/server/v3"
    for name in containerd containerd-shim-runc-v2 ctr; do
        echo "$name containerd github.com/containerd/containerd/v2/cmd/$name"
    done
    echo "ptp cni github.com/containernetworking/plugins/plugins/main/ptp"
    echo "host-local cni github.com/containernetworking/plugins/plugins/ipam/host-local"
    echo "loopback cni github.com/containernetworking/plugins/plugins/main/loopback"
    echo "portmap cni github.com/containernetworking/plugins/plugins/meta/portmap"
    echo "pause pause ."
    echo "helm helm helm.sh/helm/v4/cmd/helm"
}

build_tools() {
    local file module package done_count=0 total missing=()
    tools=$(tools_folder)
    total=$(programs | wc -l)
    while read -r file module package; do
        [[ -x $tools/$file ]] || missing+=("$file $module $package")
    done < <(programs)
    ((${#missing[@]})) || return 0

    require_go
    require_disk "$cache" 10
    mkdir -p "$tools"
    say "building ${#missing[@]} of $total programs into $tools (about 13 minutes on 2 cores when nothing is cached)"
    local line
    for line in "${missing[@]}"; do
        read -r file module package <<<"$line"
        done_count=$((done_count + 1))
        say "building $file ($done_count of ${#missing[@]})"
        with_heartbeat "$file" build_program "$file" "$module" "$package"
    done
    say "all programs are built"
}

build_program() {
    local file=$1 module=$2 package=$3 unfinished=$tools/.$1.unfinished
    local stamp=k8s.io/component-base/version
    # Without these a server calls itself v0.0.0, and clients refuse it as too old.
    local flags="-s -w -X $stamp.gitVersion=$kubernetes_version -X $stamp.gitMajor=1 -X $stamp.gitMinor=37 -X $stamp.gitTreeState=clean"
    # What Go downloads is told by the hundred, and tells nobody anything.
    (
        cd "$here/tools/$module" &&
            CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -buildvcs=false -trimpath -tags grpcnotrace \
                -ldflags "$flags" -o "$unfinished" "$package" 2> >(grep -v '^go: downloading ' >&2)
    ) || refuse "Go could not build $package; its messages are above."
    mv "$unfinished" "$tools/$file"
}

# with_heartbeat NAME COMMAND...: says every 20 s that it still works.
with_heartbeat() {
    local name=$1 beat status=0
    shift
    ( while sleep 20; do say "  still building $name"; done ) &
    beat=$!
    "$@" || status=$?
    { kill "$beat" && wait "$beat"; } 2>/dev/null || true
    return "$status"
}
