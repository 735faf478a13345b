# Losing a node and getting it back.

# Its cable is pulled: its pods run on, and reach nothing.
cut_node() { ip link set "$(node_link "$1")" down; }

# Every process of it stands still, those of its pods too, and no connection is closed.
freeze_node() { freeze "$1"; }

recover_node() {
    thaw "$1"
    ip link set "$(node_link "$1")" up
}

# present | cut | frozen
node_presence() {
    if is_frozen "$1"; then
        echo frozen
    elif ip link show "$(node_link "$1")" 2>/dev/null | grep -q '[<,]UP[,>]'; then
        echo present
    else
        echo cut
    fi
}
