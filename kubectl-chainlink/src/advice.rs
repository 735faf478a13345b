//! What a reason means, and what to do about it: read from the operator's documents, which are part of this program.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The documents that have tables of reasons; the first that names one is believed.
const DOCUMENTS: [&str; 2] = [
    include_str!("../../docs/status.md"),
    include_str!("../../docs/database.md"),
];

/// What the documents say of a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    pub meaning: String,
    /// Empty where nothing has to be done.
    pub to_do: String,
}

static ADVICE: LazyLock<BTreeMap<String, Advice>> = LazyLock::new(|| {
    let mut all = BTreeMap::new();
    // A table of reasons says more than a condition's own line, wherever that stands.
    let rows = || DOCUMENTS.iter().flat_map(|text| rows(text));
    let told = rows().flat_map(|(head, cells)| of_a_reason(head, &cells));
    let beside = rows().flat_map(|(head, cells)| of_a_condition(head, &cells));
    for (reason, advice) in told.chain(beside) {
        all.entry(reason).or_insert(advice);
    }
    all
});

/// What the documents say of this reason.
pub fn of(reason: &str) -> Option<&'static Advice> {
    ADVICE.get(reason)
}

/// The rows of all tables, each with what heads its first column.
fn rows(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut head = None;
    let mut all = Vec::new();
    for line in text.lines() {
        let row = line.strip_prefix('|');
        let Some(row) = row.and_then(|row| row.strip_suffix('|')) else {
            head = None;
            continue;
        };
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        match head {
            None => head = cells.first().copied(),
            Some(head) => all.push((head, cells)),
        }
    }
    all
}

/// A row whose first cell names reasons: what they mean, and what to do.
fn of_a_reason(head: &str, cells: &[&str]) -> Vec<(String, Advice)> {
    let (reasons, meaning, to_do) = match cells {
        _ if !["reason", "event"].contains(&head) => return vec![],
        [reasons, meaning] => (*reasons, *meaning, ""),
        [reasons, meaning, to_do] => (*reasons, *meaning, *to_do),
        _ => return vec![],
    };
    let advice = Advice {
        meaning: plain(meaning),
        to_do: plain(to_do),
    };
    let reasons = quoted(reasons).filter(|word| is_a_word(word));
    reasons
        .map(|reason| (reason.to_owned(), advice.clone()))
        .collect()
}

/// What the row of a condition says of each of its reasons.
fn of_a_condition(head: &str, cells: &[&str]) -> Vec<(String, Advice)> {
    let mut all = Vec::new();
    for cell in cells.iter().skip(1).filter(|_| head == "condition") {
        // `Reason`: what it means. Or: `Reason` (what it means).
        for (mark, end) in [("`: ", ". `"), ("` (", ")")] {
            let mut rest = *cell;
            while let Some((before, after)) = rest.split_once(mark) {
                rest = after;
                let reason = before.rsplit('`').next().unwrap_or_default();
                let meaning = after.split(end).next().unwrap_or_default();
                if is_a_word(reason) {
                    let advice = Advice {
                        meaning: plain(meaning),
                        to_do: String::new(),
                    };
                    all.push((reason.to_owned(), advice));
                }
            }
        }
    }
    all
}

fn is_a_word(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_uppercase())
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Without the marks of Markdown; a link is its words, and the page in brackets.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once('[') {
        text.push_str(before);
        let link = after
            .split_once("](")
            .and_then(|(words, target)| Some((words, target.split_once(')')?)));
        let Some((words, (target, behind))) = link else {
            text.push('[');
            rest = after;
            continue;
        };
        text.push_str(words);
        let page = target.split('#').next().unwrap_or_default();
        if !page.is_empty() && page != words {
            text.extend([" (docs/", page, ")"]);
        }
        rest = behind;
    }
    text.push_str(rest);
    text.replace(['`', '*'], "").trim().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use chainlink_operator::domain::Reason;

    use super::*;

    /// Of these nothing is waited for: they say that all is well, or no person sees them.
    const CALM: [Reason; 9] = [
        Reason::Progressing,
        Reason::StandbysWait,
        Reason::PausedBySpec,
        Reason::NothingToApprove,
        Reason::NothingPending,
        Reason::OnPreferredMachine,
        Reason::Elsewhere,
        Reason::NotInBackOff,
        Reason::ActiveServes,
    ];

    #[test]
    fn every_reason_of_the_operator_has_a_meaning() {
        let without: Vec<&str> = Reason::ALL
            .iter()
            .filter(|reason| !CALM.contains(reason))
            .map(Reason::as_str)
            .filter(|reason| of(reason).is_none_or(|advice| advice.meaning.is_empty()))
            .collect();
        assert!(without.is_empty(), "no document explains {without:?}");
    }

    #[test]
    fn a_word_that_is_a_condition_and_a_reason_is_explained_as_the_reason() {
        let advice = of("ApprovalRequired").expect("it is explained");
        assert_eq!(advice.meaning, "the handover waits for a person");
        let advice = of("NoStandbyWanted").expect("it is explained");
        assert_eq!(advice.meaning, "replicas is 0 or 1");
    }

    /// Of these something is told, and a person has nothing to do.
    const GOES_WELL: [Reason; 6] = [
        Reason::HolderExternal,
        Reason::HolderIsActive,
        Reason::NoStandbyWanted,
        Reason::ByHandover,
        Reason::UpToDate,
        Reason::PullingImage,
    ];

    #[test]
    fn every_reason_but_one_of_what_goes_well_says_what_to_do() {
        let without: Vec<&str> = Reason::ALL
            .iter()
            .filter(|reason| !CALM.contains(reason) && !GOES_WELL.contains(reason))
            .map(Reason::as_str)
            .filter(|reason| of(reason).is_none_or(|advice| advice.to_do.is_empty()))
            .collect();
        assert!(
            without.is_empty(),
            "nobody says what to do about {without:?}"
        );
    }

    #[test]
    fn a_link_is_its_words_and_the_page() {
        let said = plain(
            "have `x` **replaced** ([moves](moves.md#a)), see [database.md](database.md) [1]",
        );
        assert_eq!(
            said,
            "have x replaced (moves (docs/moves.md)), see database.md [1]"
        );
    }
}
