//! What was measured, as tables for a person: medians, and from the least to the most.

use std::fmt::Write as _;

use clap::ValueEnum;

use super::peers::{Peer, WATCHED};
use super::record::{Kind, Move, median};
use crate::duty::Micros;

/// More than so many milliseconds of lost answers beyond the time without an active are too many.
const BEYOND: Micros = 50;
/// In hundredths: how long a planned move may take, of the limit; and a crash, of what the lock alone needs.
const PLANNED: Micros = 105;
const CRASH: Micros = 25;

/// The moves of one peer and kind.
pub struct Group<'a> {
    pub peer: Peer,
    pub moves: Vec<&'a Move>,
}

/// All groups of a kind, in the order in which the peers are told.
pub fn groups(moves: &[Move], kind: Kind) -> Vec<Group<'_>> {
    let of = |peer: &Peer| {
        let name = peer.name();
        let of = |one: &&Move| one.kind == kind && one.peer == name;
        let moves: Vec<&Move> = moves.iter().filter(of).collect();
        (!moves.is_empty()).then_some(Group { peer: *peer, moves })
    };
    Peer::value_variants().iter().filter_map(of).collect()
}

impl Group<'_> {
    fn without_active(&self) -> Vec<Micros> {
        let moves = self.moves.iter();
        moves.filter_map(|one| one.without_active()).collect()
    }

    /// From the lock that was given back to its next holder.
    fn free_lock(&self) -> String {
        let free = self.moves.iter().filter_map(|one| one.free_lock);
        let free: Vec<Micros> = free.collect();
        if free.is_empty() {
            String::new()
        } else {
            spread(free)
        }
    }

    /// The move in the middle.
    pub fn typical(&self) -> Option<&Move> {
        let middle = median(self.without_active())?;
        let mut moves = self.moves.iter();
        moves
            .find(|one| one.without_active() == Some(middle))
            .copied()
    }

    /// What was lost through the Service beyond the time without an active, at worst.
    fn beyond(&self) -> Option<Micros> {
        let beyond = |one: &&Move| Some(one.service? - one.without_active()?);
        self.moves.iter().filter_map(beyond).max()
    }

    fn through_the_service(&self) -> [String; 2] {
        let failed = self.moves.iter().map(|one| one.failed_at_rest);
        let failed = failed.max().unwrap_or_default();
        if self.peer.leads_to_standbys() {
            return [format!("{failed} % fail at rest"), String::new()];
        }
        if self.peer == Peer::Away {
            return ["once it is back".to_owned(), String::new()];
        }
        let service: Vec<Micros> = self.moves.iter().filter_map(|one| one.service).collect();
        let beyond = self.beyond().map(|beyond| format!("{beyond} ms"));
        [spread(service), beyond.unwrap_or_default()]
    }
}

/// All tables.
pub fn of(moves: &[Move]) -> String {
    let mut text = String::new();
    for (kind, head, whole) in [
        (Kind::Planned, "Planned move", "limit"),
        (Kind::Crash, "Crash", "lock alone"),
    ] {
        let groups = groups(moves, kind);
        let limit = limit(&groups);
        // A String takes what is written to it.
        let _ = writeln!(
            text,
            "| {head} | times | of the {whole} | without an active | of it with a free lock | without an answer | the Service's own, worst |\n|---|---|---|---|---|---|---|"
        );
        for group in &groups {
            let holes = group.without_active();
            let ratio = ratio(median(holes.clone()), limit);
            let times = group.moves.len();
            let title = group.peer.title();
            let line = if holes.is_empty() {
                let watched = WATCHED.as_secs();
                format!(
                    "| {title} | {times} | | no end in {watched} s: the old version works on | | | |"
                )
            } else {
                let [service, beyond] = group.through_the_service();
                let holes = spread(holes);
                let free = group.free_lock();
                format!("| {title} | {times} | {ratio} | {holes} | {free} | {service} | {beyond} |")
            };
            let _ = writeln!(text, "{line}");
        }
        text.push('\n');
    }
    for goal in goals(moves) {
        let _ = writeln!(text, "* {goal}");
    }
    text
}

fn limit(groups: &[Group<'_>]) -> Option<Micros> {
    let limit = groups.iter().find(|group| group.peer == Peer::Limit)?;
    median(limit.without_active())
}

/// Milliseconds as seconds: the median, and the range.
fn spread(values: Vec<Micros>) -> String {
    let (least, most) = (values.iter().min().copied(), values.iter().max().copied());
    match (median(values), least, most) {
        (Some(middle), Some(least), Some(most)) => {
            format!(
                "{} s ({} to {})",
                tenths(middle),
                tenths(least),
                tenths(most)
            )
        }
        _ => "no end".to_owned(),
    }
}

/// Seconds with two places.
pub fn tenths(millis: Micros) -> String {
    let hundredths = (millis + 5) / 10;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn ratio(part: Option<Micros>, whole: Option<Micros>) -> String {
    match (part, whole) {
        (Some(part), Some(whole)) if whole > 0 => {
            let hundredths = (part * 100 + whole / 2) / whole;
            format!("{}.{:02} ×", hundredths / 100, hundredths % 100)
        }
        _ => String::new(),
    }
}

/// What this operator is to reach, and whether it does.
pub fn goals(moves: &[Move]) -> Vec<String> {
    let mut goals = Vec::new();
    let planned = groups(moves, Kind::Planned);
    let crashes = groups(moves, Kind::Crash);
    let met = |met: bool| if met { "met" } else { "missed" };
    let of = |groups: &[Group<'_>], peer: Peer| {
        let group = groups.iter().find(|group| group.peer == peer)?;
        median(group.without_active())
    };
    for (what, part, whole, allowed) in [
        (
            "planned move, of the limit",
            of(&planned, Peer::Operator),
            limit(&planned),
            PLANNED,
        ),
        (
            "crash, of what the lock alone needs",
            of(&crashes, Peer::Operator),
            limit(&crashes),
            CRASH,
        ),
        (
            "crash with the operator away, of what the lock alone needs",
            of(&crashes, Peer::Away),
            limit(&crashes),
            PLANNED,
        ),
    ] {
        if let (Some(took), Some(all)) = (part, whole) {
            let told = ratio(part, whole);
            let met = met(took * 100 <= all * allowed);
            goals.push(format!(
                "{what}: {told}, at most {} × is the goal: {met}",
                tenths(allowed * 10)
            ));
        }
    }
    let own = planned.iter().find(|group| group.peer == Peer::Operator);
    if let Some(beyond) = own.and_then(Group::beyond) {
        let met = met(beyond <= BEYOND);
        goals.push(format!(
            "planned move, beyond it through the Service: {beyond} ms at worst, at most {BEYOND} ms is the goal: {met}"
        ));
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::super::record::Hole;
    use super::*;

    fn of_peer(peer: Peer, kind: Kind, lengths: &[Micros]) -> Vec<Move> {
        let one = |length: &Micros| Move {
            peer: peer.name(),
            kind,
            number: 1,
            holes: vec![Hole {
                from: 0,
                length: *length,
            }],
            free_lock: Some(length / 10),
            service: Some(length + 40),
            failed_at_rest: 0,
        };
        lengths.iter().map(one).collect()
    }

    #[test]
    fn a_line_has_ratio_median_range_and_what_the_service_adds() {
        let moves = [
            of_peer(Peer::Operator, Kind::Planned, &[900, 1500, 1000]),
            of_peer(Peer::Limit, Kind::Planned, &[800]),
        ]
        .concat();
        let shown = super::of(&moves);
        let line = "| this operator | 3 | 1.25 × | 1.00 s (0.90 to 1.50) | 0.10 s (0.09 to 0.15) | 1.04 s (0.94 to 1.54) | 40 ms |";
        assert!(shown.contains(line), "{shown}");
        let missed = "planned move, of the limit: 1.25 ×, at most 1.05 × is the goal: missed";
        assert!(shown.contains(missed), "{shown}");
        assert!(
            shown.contains("40 ms at worst, at most 50 ms is the goal: met"),
            "{shown}"
        );
    }

    #[test]
    fn a_move_without_an_end_has_no_figures() {
        let mut moves = of_peer(Peer::Rolling, Kind::Planned, &[1]);
        moves[0].holes.clear();
        moves[0].service = None;
        let shown = super::of(&moves);
        assert!(
            shown.contains("no end in 60 s: the old version works on"),
            "{shown}"
        );
    }
}
