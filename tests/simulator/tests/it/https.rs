//! HTTPS, where the configuration names a certificate and its key.

use std::process::Command;

use crate::support::eventually;
use crate::support::free_port;
use crate::support::node::Setup;
use crate::support::postgres::Database;

/// What a client that trusts this certificate is answered, or nothing.
fn asked(port: u16, authority: &str, path: &str) -> Option<String> {
    let request = format!("GET {path} HTTP/1.1\\r\\nHost: node\\r\\nConnection: close\\r\\n\\r\\n");
    let script = format!(
        "printf '{request}' | openssl s_client -quiet -ign_eof -verify_return_error -CAfile {authority} -connect 127.0.0.1:{port} 2>/dev/null"
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (!text.is_empty()).then_some(text)
}

/// Makes `server.crt` and `server.key`; the first is its own authority.
fn certificate(folder: &std::path::Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=node"])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "server.key", "-out", "server.crt"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

#[test]
fn an_active_with_a_certificate_serves_https_and_a_standby_refuses() {
    let database = Database::shared();
    let folder = std::env::temp_dir().join(format!("simulator-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    certificate(&folder);
    let file = |name: &str| folder.join(name).display().to_string();
    let with_tls = |port: u16| {
        format!(
            "[WebServer.TLS]\nHTTPSPort={port}\nCertPath='{}'\nKeyPath='{}'\n",
            file("server.crt"),
            file("server.key")
        )
    };
    let mut setup = Setup::new("2.29.0", &database);
    let port = free_port();
    setup.toml = with_tls(port);
    let mut active = setup.start();
    active.says(&format!("Listening and serving HTTPS on 0.0.0.0:{port}"));
    let answer = eventually("an answer over TLS", || {
        asked(port, &file("server.crt"), "/readyz")
    });
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(
        super::support::probe::get(active.port, "/readyz").is_some(),
        "and without"
    );

    let mut second = setup.again();
    let other = free_port();
    second.toml = with_tls(other);
    let standby = second.start();
    standby.waits(1);
    assert_eq!(asked(other, &file("server.crt"), "/readyz"), None);
    active.signal("TERM");
    assert_eq!(active.exits(), 0);
    assert_eq!(asked(port, &file("server.crt"), "/readyz"), None);
    standby.listens();
    drop(standby);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The port is open by default, and costs log lines only.
#[test]
fn without_a_certificate_that_can_be_read_http_works() {
    let database = Database::shared();
    for named in [
        "",
        "CertPath='/nowhere/tls.crt'\nKeyPath='/nowhere/tls.key'\n",
    ] {
        let mut setup = Setup::new("2.29.0", &database);
        setup.toml = format!("[WebServer.TLS]\nHTTPSPort={}\n{named}", free_port());
        let mut node = setup.start();
        node.listens().says("Error starting TLS server");
        node.signal("TERM");
        assert_eq!(node.exits(), 0);
    }
}
