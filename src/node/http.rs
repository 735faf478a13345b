//! What an attempt on the node's web port shows.

/// What came of one attempt on port 6688, asking for `/health` or `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The connection was refused: nobody listens.
    Refused,
    /// The server answered with this status code.
    Http {
        /// The status code, whatever it is.
        status: u16,
    },
    /// Nothing came back in time: neither alive nor dead, unknown.
    Timeout,
    /// The attempt failed another way (no route, reset, a broken answer): unknown too.
    Unreachable(String),
}

impl Answer {
    /// A server answers. Any status counts: 429 after 20 quick requests to `/`, 503 from a
    /// `/readyz` that is always 503 on v1 with EVM off.
    #[must_use]
    pub fn alive(&self) -> bool {
        matches!(self, Self::Http { .. })
    }

    /// What a waiting node shows: it serves no HTTP at all, in every version. A node that is
    /// starting, and one between its temporary and its real server, refuses as well.
    #[must_use]
    pub fn shows_standby(&self) -> bool {
        *self == Self::Refused
    }

    /// The real server answers, not the temporary one that 2.4 and later run between the lock and
    /// the end of migrations (`/health` 204, `/readyz` 404; measured on 2.15.0 to 2.23.0).
    #[must_use]
    pub fn serving(&self) -> bool {
        matches!(self, Self::Http { status } if !matches!(status, 204 | 404))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_shows_what_it_shows() {
        let http = |status| Answer::Http { status };
        for (answer, alive, standby, serving) in [
            (Answer::Refused, false, true, false),
            (Answer::Timeout, false, false, false),
            (Answer::Unreachable("no route".into()), false, false, false),
            (http(200), true, false, true),
            (http(207), true, false, true),
            (http(429), true, false, true),
            (http(503), true, false, true),
            (http(204), true, false, false),
            (http(404), true, false, false),
        ] {
            assert_eq!(
                (answer.alive(), answer.shows_standby(), answer.serving()),
                (alive, standby, serving),
                "{answer:?}"
            );
        }
    }
}
