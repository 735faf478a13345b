//! What an error of the API server means for whoever sent something: whether it is worth sending again.

/// The sentence of an API server that will not have it so: quota, a policy, a webhook (whose denial has the code that
/// it chooses, 400 where it chooses none), invalid fields. Sent again unchanged it would be refused again.
///
/// Everything else passes: no or old credentials, an object that is gone or has changed, a server that is busy, and all
/// that is the server's own failure (a webhook that is down is a 500).
pub fn refusal(error: &kube::Error) -> Option<String> {
    let kube::Error::Api(status) = error else {
        return None;
    };
    let refused = (400..500).contains(&status.code) && ![401, 404, 409, 429].contains(&status.code);
    refused.then(|| said(status.code, &status.message))
}

fn said(code: u16, message: &str) -> String {
    if message.is_empty() {
        return format!("it answers with code {code} and says no more");
    }
    message.to_owned()
}

/// What an error says, for people.
pub fn sentence(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => said(status.code, &status.message),
        other => other.to_string(),
    }
}

/// Whether two sentences differ in nothing but words with a digit in them: times, ports, counts, ids of requests.
pub fn says_the_same(one: &str, other: &str) -> bool {
    let has_digit = |word: &str| word.contains(|letter: char| letter.is_ascii_digit());
    let mut words = (one.split_whitespace(), other.split_whitespace());
    loop {
        match (words.0.next(), words.1.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if one == other || (has_digit(one) && has_digit(other)) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn answer(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(
            Status {
                code,
                message: message.to_owned(),
                ..Status::default()
            }
            .boxed(),
        )
    }

    #[test]
    fn what_would_be_refused_again_is_a_refusal_and_what_passes_is_none() {
        for code in [400, 403, 405, 413, 422] {
            let said = refusal(&answer(code, "no"));
            assert_eq!(said.as_deref(), Some("no"), "{code}");
        }
        for code in [401, 404, 409, 429, 500, 503, 504] {
            assert_eq!(refusal(&answer(code, "later")), None, "{code}");
        }
    }

    #[test]
    fn sentences_that_differ_in_numbers_alone_say_the_same() {
        let webhook = "failed calling webhook: dial tcp 10.0.0.7:40212: refused after 1.2s";
        let later = "failed calling webhook: dial tcp 10.0.0.7:40388: refused after 1.9s";
        assert!(says_the_same(webhook, later));
        for other in [
            "failed calling webhook: dial tcp 10.0.0.7:40388: reset after 1.9s",
            "failed calling webhook: dial tcp 10.0.0.7:40388: refused",
            "failed calling webhook: dial tcp nowhere refused after 1.9s",
        ] {
            assert!(!says_the_same(webhook, other), "{other}");
            assert!(!says_the_same(other, webhook), "{other}");
        }
    }

    #[test]
    fn a_refusal_without_a_word_still_says_something() {
        let said = refusal(&answer(400, "")).unwrap_or_default();
        assert!(said.contains("code 400"), "{said}");
    }
}
