# Its variables are set in front of it. A finding is the last line, and has an exit code of its own; nothing else is told.
# Where a program is missing, nothing is tried.
for needed in cat mkdir chmod; do command -v "$needed" > /dev/null || exit 0; done

found() {
    echo "$1" >&2
    exit "$code"
}

# Whether a line of the file $1 is like $2.
has_line() {
    while IFS= read -r line || [ -n "$line" ]; do
        case "$line" in $2) return 0 ;; esac
    done < "$1"
    return 1
}

# One line break at the end is not part of the password; an empty one, and one with space around it, are refused
# (upstream's core/utils/password.go, read). Its length counts only for keys that are to be made: no check comes before those.
[ -r "$password" ] || found "the user of the pod can not read the keystore password ($keystore)"
text="$(cat "$password"; echo .)"
text="${text%.}"
text="${text%
}"
case "$text" in
    '') found "the keystore password ($keystore) is empty, and a start would end with that" ;;
    [[:space:]]*|*[[:space:]]) found "the keystore password ($keystore) has a space or a line break at an end, and a start would end with that: write it without (one line break at the end does no harm)" ;;
esac

# Each start reads the file, and ends where it is less than two lines (upstream's core/cmd/shell.go, read). What stands in
# them counts only for a user who is to be made, in a database that no node has worked on yet: no check comes before that.
if [ -n "$credentials" ]; then
    [ -r "$credentials" ] || found "the user of the pod can not read the API credentials ($api)"
    read -r line < "$credentials" || found "the API credentials ($api) are less than two lines, and a start would end with that: write the email of the API user into the first line, and the password into the second"
fi

# The node works on without HTTPS, and tells of it in its log alone.
no_https='and the node would serve no HTTPS'
readable() {
    [ -f "$2" ] || found "$1 names $2, where no file is, $no_https: name a file of a volume in spec.pod.volumes, or give its Secret that key"
    [ -r "$2" ] || found "the user of the pod can not read $2 ($1), $no_https: look at spec.pod.securityContext.fsGroup, and at the rights of the file"
}
if [ -n "$tls_certificate" ]; then
    readable WebServer.TLS.CertPath "$tls_certificate"
    has_line "$tls_certificate" '-----BEGIN CERTIFICATE-----*' ||
        found "$tls_certificate (WebServer.TLS.CertPath) holds no certificate in PEM, $no_https: no line of it begins with -----BEGIN CERTIFICATE-----"
fi
if [ -n "$tls_key" ]; then
    readable WebServer.TLS.KeyPath "$tls_key"
    has_line "$tls_key" '-----BEGIN *PRIVATE KEY-----*' ||
        found "$tls_key (WebServer.TLS.KeyPath) holds no private key in PEM, $no_https: no line of it begins with -----BEGIN PRIVATE KEY-----, or names another kind of such a key"
    if has_line "$tls_key" '-----BEGIN ENCRYPTED *' || has_line "$tls_key" 'Proc-Type: *ENCRYPTED*'; then
        found "the private key $tls_key (WebServer.TLS.KeyPath) is encrypted, $no_https: write it without a password"
    fi
fi

# It has to be the node's own, as the node takes all rights on it from others.
said="$( { mkdir -p "$root" && chmod 700 "$root" && : > "$root/tried"; } 2>&1 )" ||
    found "the node can't make its root folder, and a start would end with that: look at spec.pod.storage and spec.pod.securityContext: $said"
