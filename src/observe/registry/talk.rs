//! What is said to a registry (github.com/opencontainers/distribution-spec), and how its answers are read.

use std::fmt::Write as _;
use std::time::Duration;

use hyper::{Method, StatusCode, Uri};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Trouble;
use super::credentials::Login;
use super::http::{Answer, Http};
use super::repository::{Repository, is_here};
use crate::domain::Reason;

/// Tags that are asked for at once; a registry may give fewer.
const PAGE: usize = 1000;
/// More pages are no list of releases.
const MOST_PAGES: usize = 100;
/// More tags are not kept.
const MOST_TAGS: usize = 50_000;
/// A tag is not longer (distribution-spec).
const LONGEST_TAG: usize = 128;

const JSON: &str = "application/json";
/// A tag may name an image, or an index of one for each platform; both of Docker's kind or of OCI's.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

#[derive(Deserialize)]
struct Tags {
    /// A registry that has none may say null.
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// A talk with one registry about one repository.
pub(super) struct Talk<'a> {
    http: &'a Http,
    repository: &'a Repository,
    login: Option<Login>,
    authorization: Option<String>,
}

impl<'a> Talk<'a> {
    pub(super) fn new(http: &'a Http, repository: &'a Repository, login: Option<Login>) -> Self {
        Self {
            http,
            repository,
            login,
            authorization: None,
        }
    }

    /// All tags of the repository.
    pub(super) async fn tags(&mut self) -> Result<Vec<String>, Trouble> {
        let path = &self.repository.path;
        let first = format!("/v2/{path}/tags/list?n={PAGE}");
        let mut next = Some(first);
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let Some(page) = next else {
                return Ok(all);
            };
            let answer = self.get(Method::GET, &page, JSON).await?;
            let page: Tags = serde_json::from_slice(&answer.body)
                .map_err(|_| self.unusable("its list of tags can't be read"))?;
            let tags = page.tags.unwrap_or_default();
            let (count, last) = (tags.len(), tags.last().cloned());
            all.extend(tags.into_iter().filter(|tag| tag.len() <= LONGEST_TAG));
            if all.len() > MOST_TAGS {
                return Err(self.unusable("it names more than 50000 tags"));
            }
            next = match answer.header("link") {
                Some(link) => Some(self.linked(link)?),
                // A full page without a link: the registry goes on where it is asked to.
                None if count >= PAGE => last.map(|last| {
                    let last = utf8_percent_encode(&last, QUERY);
                    format!(
                        "/v2/{path}/tags/list?n={PAGE}&last={last}",
                        path = self.repository.path
                    )
                }),
                None => None,
            };
        }
        Err(self.unusable("its list of tags does not end"))
    }

    /// The digest of what a tag names. The registry is not taken at its word: what it gives for the digest has to have it.
    pub(super) async fn digest(&mut self, tag: &str) -> Result<String, Trouble> {
        let path = format!("/v2/{}/manifests/", self.repository.path);
        let tag = utf8_percent_encode(tag, QUERY).to_string();
        // A HEAD is not counted as a pull.
        let head = self
            .get(Method::HEAD, &format!("{path}{tag}"), MANIFESTS)
            .await?;
        let said = head.header("docker-content-digest").map(str::to_owned);
        if said.as_deref().is_some_and(|said| !is_digest(said)) {
            return Err(self.unusable("the digest that it names is none of sha256"));
        }
        let named = said.as_ref().unwrap_or(&tag);
        let whole = self
            .get(Method::GET, &format!("{path}{named}"), MANIFESTS)
            .await?;
        let is = sha256(&whole.body);
        match said {
            Some(said) if said != is => Err(self.unusable(&format!(
                "it says that {tag} is {said}, and gives {is} for that: trust nothing that comes from there"
            ))),
            _ => Ok(is),
        }
    }

    async fn get(
        &mut self,
        method: Method,
        path: &str,
        accept: &'static str,
    ) -> Result<Answer, Trouble> {
        let scheme = self.repository.scheme();
        let at = format!("{scheme}://{}{path}", self.repository.host);
        let at: Uri = at
            .parse()
            .map_err(|_| self.unusable("its address can't be read"))?;
        let authorization = self.authorization.as_deref();
        let answer = self
            .http
            .ask(method.clone(), &at, accept, authorization)
            .await?;
        if answer.status != StatusCode::UNAUTHORIZED || self.authorization.is_some() {
            return self.checked(answer);
        }
        self.authorize(&answer).await?;
        let authorization = self.authorization.as_deref();
        let answer = self.http.ask(method, &at, accept, authorization).await?;
        self.checked(answer)
    }

    fn checked(&self, answer: Answer) -> Result<Answer, Trouble> {
        let host = &self.repository.host;
        let status = answer.status;
        let trouble = |reason, message: String| Trouble {
            wait: answer.header("retry-after").and_then(wait),
            missing: status == StatusCode::NOT_FOUND,
            ..Trouble::new(reason, message)
        };
        match status {
            StatusCode::OK => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.denied()),
            StatusCode::NOT_FOUND => Err(trouble(
                Reason::RegistryUnusable,
                format!(
                    "{host} says that it has no {}, or not the tag that it named itself",
                    self.repository.path
                ),
            )),
            StatusCode::TOO_MANY_REQUESTS => Err(trouble(
                Reason::RegistryBusy,
                format!(
                    "{host} was asked too often, by this operator or by others behind the same address: give it credentials (spec.image.pullSecrets), a longer spec.updates.interval, or a mirror"
                ),
            )),
            status if status.is_server_error() => Err(trouble(
                Reason::RegistryNotReached,
                format!("{host} answers with HTTP {}", status.as_u16()),
            )),
            status if status.is_redirection() => {
                Err(self.unusable("it sends the operator to another place, which is not followed"))
            }
            status => Err(trouble(
                Reason::RegistryUnusable,
                format!("{host} answers with HTTP {}", status.as_u16()),
            )),
        }
    }

    fn denied(&self) -> Trouble {
        let who = if self.login.is_some() {
            "with the credentials of spec.image.pullSecrets"
        } else {
            "without credentials"
        };
        let message = format!(
            "{} does not show the tags of {} {who}: name a Secret with the right to pull it in spec.image.pullSecrets, which the operator may read",
            self.repository.host, self.repository.path
        );
        Trouble::new(Reason::RegistryDenied, message)
    }

    fn unusable(&self, what: &str) -> Trouble {
        let message = format!("{} can't be used: {what}", self.repository.host);
        Trouble::new(Reason::RegistryUnusable, message)
    }

    /// Where the next page is. It is one of the same registry.
    fn linked(&self, header: &str) -> Result<String, Trouble> {
        let path = header
            .strip_prefix('<')
            .and_then(|rest| rest.split_once('>'))
            .filter(|(_, rest)| rest.contains("next"))
            .and_then(|(target, _)| {
                let at: Uri = target.parse().ok()?;
                let ours = at.host().is_none() || at.authority()?.as_str() == self.repository.host;
                let path = at.path_and_query()?.as_str().to_owned();
                (ours && path.starts_with('/')).then_some(path)
            });
        path.ok_or_else(|| self.unusable("its link to the next page of tags leads elsewhere"))
    }

    /// Answers the challenge of a registry: a token that it has another server give, or the login itself.
    async fn authorize(&mut self, answer: &Answer) -> Result<(), Trouble> {
        let challenge = answer
            .header("www-authenticate")
            .unwrap_or_default()
            .to_owned();
        let (kind, rest) = challenge.split_once(' ').unwrap_or((&challenge, ""));
        if kind.eq_ignore_ascii_case("basic") {
            let login = self.login.as_ref().ok_or_else(|| self.denied())?;
            self.authorization = Some(login.basic());
            return Ok(());
        }
        if !kind.eq_ignore_ascii_case("bearer") {
            return Err(self.denied());
        }
        let realm = parameter(rest, "realm").unwrap_or_default();
        let mut at = realm.clone();
        let scope = format!("repository:{}:pull", self.repository.path);
        let sign = if at.contains('?') { '&' } else { '?' };
        let scope = utf8_percent_encode(&scope, QUERY);
        // A String takes every write.
        let _ = write!(at, "{sign}scope={scope}");
        if let Some(service) = parameter(rest, "service") {
            let _ = write!(at, "&service={}", utf8_percent_encode(&service, QUERY));
        }
        let at: Option<Uri> = at.parse().ok();
        // The login goes there.
        let at = at.filter(|at| {
            let here = |host: &str| is_here(host) && is_here(&self.repository.host);
            match (at.scheme_str(), at.host()) {
                (Some("https"), Some(_)) => true,
                (Some("http"), Some(host)) => here(host),
                _ => false,
            }
        });
        let at = at.ok_or_else(|| self.unusable("the place of its tokens has no TLS"))?;
        let login = self.login.as_ref().map(Login::basic);
        let answer = self
            .http
            .ask(Method::GET, &at, JSON, login.as_deref())
            .await?;
        let answer = self.checked(answer)?;
        let token: Token = serde_json::from_slice(&answer.body)
            .map_err(|_| self.unusable("its token can't be read"))?;
        let token = token.token.or(token.access_token);
        let token = token.ok_or_else(|| self.unusable("its token can't be read"))?;
        self.authorization = Some(format!("Bearer {token}"));
        Ok(())
    }
}

/// A parameter of a challenge: `realm="https://auth.example.com/token",service="registry"`.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let mut rest = challenge;
    loop {
        let (key, after) = rest.split_once('=')?;
        let key = key.trim_matches([' ', ',']);
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = next;
    }
}

/// Seconds, or a point in time.
fn wait(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Duration::try_from(at.duration_since(Timestamp::now())).ok()
}

fn is_digest(text: &str) -> bool {
    let hex = |letter: u8| letter.is_ascii_digit() || (b'a'..=b'f').contains(&letter);
    text.strip_prefix("sha256:")
        .is_some_and(|sum| sum.len() == 64 && sum.bytes().all(hex))
}

fn sha256(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    sum.iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_a_challenge_are_read_with_commas_in_them() {
        let hub = r#"realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull,push""#;
        assert_eq!(
            parameter(hub, "realm").unwrap(),
            "https://auth.docker.io/token"
        );
        assert_eq!(parameter(hub, "service").unwrap(), "registry.docker.io");
        assert_eq!(parameter(hub, "scope").unwrap(), "repository:a:pull,push");
        assert_eq!(parameter("realm=x, service = y", "service").unwrap(), "y");
        assert_eq!(parameter(hub, "error"), None);
    }

    #[test]
    fn how_long_to_wait_is_read_in_seconds_or_as_a_date() {
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        let later = Timestamp::now() + Duration::from_secs(3600);
        let date = jiff::fmt::rfc2822::to_string(&later.to_zoned(jiff::tz::TimeZone::UTC)).unwrap();
        let read = wait(&date).unwrap();
        assert!(read > Duration::from_secs(3500) && read <= Duration::from_secs(3600));
        assert!(wait("Wed, 21 Oct 2099 07:28:00 GMT").is_some());
        assert_eq!(wait("soon"), None);
    }
}
