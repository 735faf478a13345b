//! One request to a registry, and an answer of bounded size. Redirections are not followed.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

use super::Trouble;
use super::repository::is_here;
use crate::domain::Reason;

/// How long a connection may take.
const CONNECTED: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes: ten thousand tags are a tenth of it.
const LARGEST: usize = 4 << 20;

/// Speaks HTTP.
pub(super) struct Http {
    /// `HTTPS_PROXY` and `NO_PROXY`.
    proxies: Matcher,
    tls: OnceCell<ClientConfig>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Http {
    pub(super) fn new(proxies: Matcher) -> Self {
        Self {
            proxies,
            tls: OnceCell::new(),
        }
    }

    pub(super) async fn ask(
        &self,
        method: Method,
        at: &Uri,
        accept: &'static str,
        authorization: Option<&str>,
    ) -> Result<Answer, Trouble> {
        let host = at.authority().map_or("", |authority| authority.as_str());
        let unusable = || {
            let message =
                format!("{host} can't be asked: its address or its token is no text for HTTP");
            Trouble::new(Reason::RegistryUnusable, message)
        };
        let mut request = Request::builder()
            .method(method)
            .uri(at)
            .header(USER_AGENT, "chainlink-operator")
            .header(ACCEPT, accept);
        if let Some(authorization) = authorization {
            let mut value = HeaderValue::from_str(authorization).map_err(|_| unusable())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.body(Empty::new()).map_err(|_| unusable())?;
        let response = self.send(host, request).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(|_| {
            let message = format!("the answer of {host} broke off, or is larger than 4 MiB");
            Trouble::new(Reason::RegistryUnusable, message)
        })?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        })
    }

    async fn send(
        &self,
        host: &str,
        request: Request<Empty<Bytes>>,
    ) -> Result<hyper::Response<hyper::body::Incoming>, Trouble> {
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        direct.set_connect_timeout(Some(CONNECTED));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(self.tls(host).await?)
            .https_or_http()
            .enable_http1();
        // What is on this machine is not behind a proxy.
        let proxy = self.proxies.intercept(request.uri());
        let proxy = proxy.filter(|_| !is_here(host));
        let sent = if let Some(proxy) = &proxy {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), direct);
            if let Some(login) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(login.clone());
            }
            let client = Client::builder(TokioExecutor::new()).build(https.wrap_connector(tunnel));
            client.request(request).await
        } else {
            let client = Client::builder(TokioExecutor::new()).build(https.wrap_connector(direct));
            client.request(request).await
        };
        sent.map_err(|error| {
            tracing::debug!(host, %error, "a registry could not be asked");
            let way = if proxy.is_some() {
                " through the proxy of the operator's environment"
            } else {
                ""
            };
            let message = format!(
                "{host} can't be reached{way}: see that the operator may connect to it, and that it speaks TLS with a certificate that the operator's image knows"
            );
            Trouble::new(Reason::RegistryNotReached, message)
        })
    }

    async fn tls(&self, host: &str) -> Result<ClientConfig, Trouble> {
        let trouble = |what: &str| {
            let message = format!("{host} can't be asked over TLS: {what}");
            Trouble::new(Reason::RegistryNotReached, message)
        };
        let config = self.tls.get_or_try_init(async || {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|_| trouble("it could not be set up"))?;
            Ok(config.with_root_certificates(roots).with_no_client_auth())
        });
        config.await.cloned()
    }
}
