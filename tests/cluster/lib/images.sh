# Images come from files, or from a registry that somebody runs on this machine and the nodes were told to trust.

# load_archives ARCHIVE...: imports image archives in every node, all nodes at the same time.
load_archives() {
    local archive node imports=() import
    for archive in "$@"; do
        [[ -r $archive ]] || refuse "there is no image archive at $archive."
        for node in "${nodes[@]}"; do
            ! is_frozen "$node" || refuse "$node is frozen: 'recover $node' before loading images."
            runtime "$node" images import - <"$archive" >>"$state/logs/images.log" 2>&1 &
            imports+=("$!")
        done
        for import in "${imports[@]}"; do
            wait "$import" || refuse "importing $archive failed; see $state/logs/images.log."
        done
        imports=()
        say "loaded $archive in ${#nodes[@]} nodes"
    done
}

load_pause_image() {
    local archive=$state/pause.tar
    if runtime "${nodes[-1]}" images list --quiet 2>/dev/null | grep -qx "$pause_image"; then return; fi
    python3 "$here/image.py" --out "$archive" --name "$pause_image" --user 65535 --entrypoint /pause "$tools/pause:/pause"
    load_archives "$archive"
}

# trust_registry HOST AUTHORITY: containerd reads that folder at each pull.
trust_registry() {
    [[ ${1:-} =~ ^[a-z0-9.-]+(:[0-9]+)?$ ]] || refuse "'${1:-}' names no registry: write HOST or HOST:PORT."
    [[ -r ${2:-} ]] || refuse "there is no certificate at ${2:-}."
    mkdir -p "$state/registries/$1"
    cp "$2" "$state/registries/$1/ca.crt"
}
