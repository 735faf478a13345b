# What the machine must have. Everything that is missing is named, with the way to get it.

packages=(runc iptables nftables conntrack iproute2 util-linux openssl procps python3 postgresql postgresql-client)

require_machine() {
    [[ $(uname -s) == Linux ]] || refuse "the test cluster needs Linux (this is $(uname -s)): use a Linux machine or a virtual one."
    [[ $EUID -eq 0 ]] || refuse "the test cluster makes network namespaces and cgroups: run it as root (sudo)."
    grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null ||
        refuse "the kernel has no overlay file system, which containers need: load the module 'overlay'."
}

require_go() {
    command -v go >/dev/null || refuse "Go is missing: install Go 1.26 or newer, the cluster's programs are built with it."
    local version
    version=$(GOTOOLCHAIN=local go env GOVERSION)
    [[ $(printf '%s\n' go1.26 "$version" | sort -V | head -1) == go1.26 ]] ||
        refuse "Go $version is too old: Kubernetes $kubernetes_version builds with Go 1.26 or newer."
}

# require_disk FOLDER GIGABYTES
require_disk() {
    mkdir -p "$1"
    local free
    free=$(df --output=avail -BG "$1" | tail -1 | tr -dc 0-9)
    ((free >= $2)) || refuse "$1 has $free GB free and $2 GB are needed: make room or choose another folder (see README.md)."
}

# install_packages NAME...: those of these Debian packages that are missing.
install_packages() {
    local missing=() package
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null ||
        refuse "these Debian packages are missing, and apt-get is not here to install them: ${missing[*]}. Install what they hold, and try again."
    [[ $EUID -eq 0 ]] || refuse "these packages are missing: ${missing[*]}. Run it as root (sudo), or install them yourself."
    say "installing ${missing[*]}"
    # Tests run PostgreSQL servers of their own: the package need not make and start another. Its setting is
    # the machine's own again as soon as the package is there.
    local setting=/etc/postgresql-common/createcluster.d/chainlink-operator-test.conf
    mkdir -p "${setting%/*}"
    echo 'create_main_cluster = false' >"$setting"
    if ! apt_install "${missing[@]}"; then
        rm -f "$setting"
        refuse "apt-get could not install ${missing[*]}."
    fi
    rm -f "$setting"
}

# With a fresh list of packages only where the one that is there does not do.
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -qq --no-install-recommends "$@" >/dev/null 2>&1 ||
        { apt-get update -qq && apt-get install -qq --no-install-recommends "$@" >/dev/null; }
}

postgres_programs() {
    local folder
    folder=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
    [[ -x $folder/postgres ]] || refuse "PostgreSQL's server is missing: install the package postgresql."
    echo "$folder"
}
