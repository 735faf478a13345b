//! What an attempt on the node's web port shows.

/// What came of one attempt on port 6688, asking for `/health`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The connection was refused.
    Refused,
    /// Something answered with this status code.
    Http {
        /// The status code, whatever it is.
        status: u16,
    },
    /// Something sent us to the same path by HTTPS.
    ToTls,
    /// Nothing came back in time.
    Timeout,
    /// The attempt failed another way: no route, reset, a broken answer.
    Unreachable(String),
}

/// What an answer shows of the node. A sidecar or a gateway answers in a node's place, too, so that only
/// what the node itself says to this question counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shows {
    /// Nobody listens. A waiting node serves no HTTP at all, in every version; one that is starting, and
    /// one between its temporary and its real server, refuses as well.
    Nobody,
    /// The temporary server between the lock and the end of migrations (204; measured on 2.15.0 to 2.23.0).
    Starting,
    /// The node's own server: 200, or 207 from 2.9 on (measured), or the way to HTTPS where
    /// `WebServer.TLS.ForceRedirect` is set (`core/web/router.go`, read).
    Serving,
    /// Too many requests: a node that serves says so after about a thousand (measured), and so does a
    /// proxy in front of one that does not.
    Limited,
    /// Neither alive nor dead, and neither waiting nor at work: unknown.
    Nothing,
}

impl Answer {
    /// What the answer shows.
    #[must_use]
    pub fn shows(&self) -> Shows {
        match self {
            Self::Refused => Shows::Nobody,
            Self::Http { status: 204 } => Shows::Starting,
            Self::Http { status: 200 | 207 } | Self::ToTls => Shows::Serving,
            Self::Http { status: 429 } => Shows::Limited,
            Self::Http { .. } | Self::Timeout | Self::Unreachable(_) => Shows::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_node_itself_answers_shows_one() {
        let http = |status| Answer::Http { status };
        for (answer, shows) in [
            (Answer::Refused, Shows::Nobody),
            (http(200), Shows::Serving),
            (http(207), Shows::Serving),
            (Answer::ToTls, Shows::Serving),
            (http(204), Shows::Starting),
            (http(429), Shows::Limited),
            // A policy engine, a proxy without a route, one without an upstream, somebody's login page.
            (http(401), Shows::Nothing),
            (http(403), Shows::Nothing),
            (http(404), Shows::Nothing),
            (http(503), Shows::Nothing),
            (http(302), Shows::Nothing),
            (Answer::Timeout, Shows::Nothing),
            (Answer::Unreachable("no route".into()), Shows::Nothing),
        ] {
            assert_eq!(answer.shows(), shows, "{answer:?}");
        }
    }
}
