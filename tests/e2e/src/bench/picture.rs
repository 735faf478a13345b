//! Who was active when, as bars on an axis of time: of each peer and kind the move in the middle. Plain SVG that is readable on
//! white and on black.

use std::fmt::Write as _;

use super::peers::Peer;
use super::record::{Kind, Move};
use super::table::{Group, groups, tenths};
use crate::duty::Micros;

/// Where the axis begins and ends, in milliseconds since the first active ended its work.
const BEGIN: Micros = -1500;
const END: Micros = 13_500;
/// All else is in pixels.
const LABELS: Micros = 300;
const WIDTH: Micros = 960;
const MARGIN: Micros = 16;
const ROW: Micros = 26;
const BAR: Micros = 14;
const HEAD: Micros = 34;
/// The grey of the text can be read on white and on black; where the viewer says which it is, it is sharper.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#6e7781}.head{font-weight:600}.small{font-size:11px}\
    .first{fill:#8c959f}.next{fill:#1a7f37}.grid{stroke:#8c959f;stroke-opacity:.35}\
    @media(prefers-color-scheme:light){text{fill:#24292f}}@media(prefers-color-scheme:dark){text{fill:#e6edf3}}\
    .on{font-size:11px;fill:#fff}";

/// The picture of these moves.
pub fn of(moves: &[Move]) -> String {
    let mut rows = String::new();
    let mut y = MARGIN;
    for (kind, head) in [
        (Kind::Planned, "Planned move to the next version"),
        (Kind::Crash, "Crash: SIGKILL for the active"),
    ] {
        let groups = groups(moves, kind);
        if groups.is_empty() {
            continue;
        }
        // A String takes what is written to it.
        let _ = writeln!(
            rows,
            "<text class=\"head\" x=\"{MARGIN}\" y=\"{}\">{head}</text>",
            y + 16
        );
        y += HEAD;
        for group in &groups {
            row(&mut rows, group, y);
            y += ROW;
        }
        y += MARGIN / 2;
    }
    let (axis, height) = (axis(y), y + 48);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Who was active when, at a planned move and at a crash\">\n<style>{STYLE}</style>\n{axis}{rows}</svg>\n"
    )
}

fn row(rows: &mut String, group: &Group<'_>, y: Micros) {
    let middle = y + BAR - 3;
    let title = group.peer.title();
    let weight = if group.peer == Peer::Operator {
        " class=\"head\""
    } else {
        ""
    };
    let _ = writeln!(
        rows,
        "<text{weight} x=\"{MARGIN}\" y=\"{middle}\">{title}</text>"
    );
    let Some(typical) = group.typical() else {
        bar(rows, y, BEGIN, END, "first");
        let _ = writeln!(
            rows,
            "<text class=\"on\" x=\"{}\" y=\"{middle}\">the next version never works</text>",
            at(400)
        );
        return;
    };
    let mut begin = BEGIN;
    for (number, hole) in typical.holes.iter().enumerate() {
        bar(
            rows,
            y,
            begin,
            hole.from,
            if number == 0 { "first" } else { "next" },
        );
        begin = hole.from + hole.length;
    }
    bar(rows, y, begin, END, "next");
    let all = typical.without_active().unwrap_or_default();
    // In the gap where it is wide enough, else behind it.
    let (x, class) = if all > 1500 && typical.holes.len() == 1 {
        (at(all / 2) - 16, "small")
    } else {
        (at(END) - 44, "on")
    };
    let _ = writeln!(
        rows,
        "<text class=\"{class}\" x=\"{x}\" y=\"{middle}\">{} s</text>",
        tenths(all)
    );
}

fn bar(rows: &mut String, y: Micros, from: Micros, to: Micros, class: &str) {
    let (x, end) = (at(from.max(BEGIN)), at(to.min(END)));
    if end > x {
        let width = end - x;
        let _ = writeln!(
            rows,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\" rx=\"2\"/>"
        );
    }
}

/// A second is a line.
fn axis(bottom: Micros) -> String {
    let mut lines = String::new();
    for second in 0..=END / 1000 {
        let x = at(second * 1000);
        let _ = writeln!(
            lines,
            "<line class=\"grid\" x1=\"{x}\" y1=\"{MARGIN}\" x2=\"{x}\" y2=\"{bottom}\"/>"
        );
        let _ = writeln!(
            lines,
            "<text class=\"small\" x=\"{}\" y=\"{}\">{second}</text>",
            x - 3,
            bottom + 14
        );
    }
    let _ = writeln!(
        lines,
        "<text class=\"small\" x=\"{LABELS}\" y=\"{}\">seconds since the active ended its work; grey: it; green: who works next; nothing: nobody</text>",
        bottom + 32
    );
    lines
}

fn at(millis: Micros) -> Micros {
    LABELS + (millis - BEGIN) * (WIDTH - LABELS - MARGIN) / (END - BEGIN)
}

#[cfg(test)]
mod tests {
    use super::super::record::Hole;
    use super::*;

    #[test]
    fn nobody_is_drawn_where_nobody_worked() {
        let one = Move {
            peer: Peer::Limit.name(),
            kind: Kind::Crash,
            number: 1,
            holes: vec![Hole {
                from: 0,
                length: 10_000,
            }],
            free_lock: None,
            service: None,
            failed_at_rest: 0,
        };
        let endless = Move {
            peer: Peer::Rolling.name(),
            kind: Kind::Planned,
            holes: Vec::new(),
            ..one.clone()
        };
        assert!(of(&[endless]).contains(">the next version never works<"));
        let picture = of(&[one]);
        let rects: Vec<&str> = picture
            .lines()
            .filter(|line| line.starts_with("<rect"))
            .collect();
        let edge = |millis| format!("x=\"{}\"", at(millis));
        let before = format!("width=\"{}\"", at(0) - at(BEGIN));
        assert_eq!(rects.len(), 2, "{picture}");
        assert!(
            rects[0].contains(&edge(BEGIN)) && rects[0].contains(&before),
            "{picture}"
        );
        assert!(rects[1].contains(&edge(10_000)), "{picture}");
        assert!(picture.contains(">10.00 s<"), "{picture}");
    }
}
