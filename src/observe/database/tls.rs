//! TLS to the database, as the node's `sslmode` asks for it.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as Encrypted;

use crate::node::TlsMode;

/// Why no connection can be secured as the URL asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    #[error("what spec.database.ca names holds no certificate in PEM form")]
    NoCertificate,
    #[error("the operator's image has no certificate authorities: name yours in spec.database.ca")]
    NoAuthorities,
    #[error("TLS could not be set up")]
    Setup,
}

/// Secures connections.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    /// The host's name in the URL, where it is looked up by another.
    own_names: BTreeMap<String, String>,
}

impl Tls {
    /// As `mode` asks. `authority` is PEM text; without it the machine's own authorities are trusted. A host that is
    /// looked up by a key of `own_names` is verified by its value.
    pub fn new(
        mode: TlsMode,
        authority: Option<&[u8]>,
        own_names: BTreeMap<String, String>,
    ) -> Result<Self, Untrusted> {
        let provider = Arc::new(ring::default_provider());
        let inner = match mode {
            TlsMode::Disable | TlsMode::Either | TlsMode::Require => None,
            TlsMode::VerifyAuthority | TlsMode::VerifyFull => {
                let roots = Arc::new(roots(authority)?);
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
                Some(verifier.build().map_err(|_| Untrusted::Setup)?)
            }
        };
        let verifier = Verifier {
            provider: Arc::clone(&provider),
            inner,
            name: mode == TlsMode::VerifyFull,
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| Untrusted::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self {
            config: Arc::new(config),
            own_names,
        })
    }
}

fn roots(authority: Option<&[u8]>) -> Result<RootCertStore, Untrusted> {
    let mut roots = RootCertStore::empty();
    if let Some(text) = authority {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        roots.add_parsable_certificates(certificates.map_err(|_| Untrusted::NoCertificate)?);
        if roots.is_empty() {
            return Err(Untrusted::NoCertificate);
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(Untrusted::NoAuthorities);
        }
    }
    Ok(roots)
}

/// `verify-full`, `verify-ca` (the name in the certificate is not looked at), or no verification at all.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    inner: Option<Arc<WebPkiServerVerifier>>,
    name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified = inner.verify_server_cert(end_entity, intermediates, server_name, ocsp, now);
        match verified {
            // The name is looked at last: all else was found good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// For one server.
pub struct ForServer {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = ForServer;
    type Error = rustls::pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, domain: &str) -> Result<ForServer, Self::Error> {
        let name = self.own_names.get(domain).map_or(domain, String::as_str);
        Ok(ForServer {
            config: Arc::clone(&self.config),
            name: ServerName::try_from(name.to_owned())?,
        })
    }
}

impl<S> TlsConnect<S> for ForServer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let connector = TlsConnector::from(self.config);
            let encrypted = connector.connect(self.name, stream).await?;
            Ok(Stream(Box::new(encrypted)))
        })
    }
}

/// An encrypted connection. Without channel binding, as the node's.
pub struct Stream<S>(Box<Encrypted<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_name_to_verify_is_the_one_in_the_url() {
        let own = [("db.chainlink.svc".to_owned(), "db".to_owned())].into();
        let mut tls = Tls::new(TlsMode::Require, None, own).unwrap();
        let mut name = |host: &str| {
            let server = MakeTlsConnect::<tokio::net::TcpStream>::make_tls_connect(&mut tls, host);
            server.unwrap().name.to_str().into_owned()
        };
        assert_eq!(name("db.chainlink.svc"), "db");
        let written = "other.chainlink.svc";
        assert_eq!(name(written), written, "as the user wrote it");
    }
}
