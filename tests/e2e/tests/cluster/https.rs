//! A node that serves HTTPS is reached over it through its Service.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::exec::quietly;
use e2e::world::PATIENCE;
use e2e::{Company, World, scenario, until};
use serde_json::json;

/// A certificate and its key, as PEM.
fn certificate() -> Result<(String, String)> {
    let folder = std::env::temp_dir().join(format!("e2e-https-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let made = quietly(
        Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=node"])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-keyout", "tls.key", "-out", "tls.crt"])
            .current_dir(&folder),
    );
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).context("no PEM");
    let both = made.and_then(|_| Ok((read("tls.crt")?, read("tls.key")?)));
    std::fs::remove_dir_all(&folder)?;
    both
}

/// Waits for an answer over TLS by way of the Service's own port: the API server shakes hands with a pod behind it.
async fn until_answered(world: &World) -> Result<()> {
    let path = format!(
        "/api/v1/namespaces/{}/services/https:node:6689/proxy/readyz",
        world.namespace
    );
    until(
        "an answer through the Service over TLS",
        PATIENCE,
        async || {
            let request = http::Request::get(&path).body(Vec::new())?;
            world.client.request_text(request).await?;
            Ok(())
        },
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the cluster: make e2e"]
async fn a_node_with_a_certificate_is_reached_through_its_service_over_tls() -> Result<()> {
    scenario("https", Company::Welcome, async |world| {
        let (certificate, key) = certificate()?;
        world
            .secret("tls", &[("tls.crt", &certificate), ("tls.key", &key)])
            .await?;
        let mut node = world.node("node", "2.18.0", 2);
        node["spec"]["config"]["files"][0]["inline"] = json!(
            "[Log]\nLevel = 'info'\n[WebServer.TLS]\nCertPath = '/certificates/tls.crt'\nKeyPath = '/certificates/tls.key'\n"
        );
        node["spec"]["pod"]["volumes"] =
            json!([{"name": "certificates", "secretName": "tls", "mountPath": "/certificates"}]);
        world.apply(&node).await?;
        let before = world.until_running("node", "2.18.0", 2).await?;
        until_answered(world).await?;

        world.change("node", json!({"version": "2.19.0"})).await?;
        let after = world.until_running("node", "2.19.0", 2).await?;
        ensure!(before.active != after.active, "the lock did not move");
        until_answered(world).await
    })
    .await
}
