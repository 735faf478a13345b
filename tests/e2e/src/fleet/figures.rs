//! What was measured, as rows: for one number of resources, in one phase, one figure.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The first line of the file.
const HEAD: &str = "resources,phase,figure,unit,value";

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub resources: usize,
    pub phase: String,
    pub name: String,
    pub unit: String,
    pub value: f64,
}

/// Puts figures into a file in the place of those of the same sizes and phases.
pub fn keep(file: &Path, new: &[Figure]) -> Result<Vec<Figure>> {
    let mut all = if file.exists() {
        read(file)?
    } else {
        Vec::new()
    };
    let same = |one: &Figure, other: &Figure| {
        (one.resources, &one.phase) == (other.resources, &other.phase)
    };
    all.retain(|old| !new.iter().any(|new| same(old, new)));
    all.extend_from_slice(new);
    let mut text = format!("{HEAD}\n");
    for one in &all {
        writeln!(
            text,
            "{},{},{},{},{}",
            one.resources, one.phase, one.name, one.unit, one.value
        )?;
    }
    fs::write(file, text)?;
    Ok(all)
}

/// Reads such a file.
pub fn read(file: &Path) -> Result<Vec<Figure>> {
    let text = fs::read_to_string(file)?;
    let mut lines = text.lines();
    ensure!(
        lines.next() == Some(HEAD),
        "{} is another file",
        file.display()
    );
    lines.map(figure).collect()
}

fn figure(line: &str) -> Result<Figure> {
    let fields: Vec<&str> = line.split(',').collect();
    let [resources, phase, name, unit, value] = fields[..] else {
        anyhow::bail!("no figure: {line}");
    };
    Ok(Figure {
        resources: resources.parse().context("resources")?,
        phase: phase.to_owned(),
        name: name.to_owned(),
        unit: unit.to_owned(),
        value: value.parse().context("value")?,
    })
}

/// A table: a line for each figure, a column for each number of resources, and how much one more resource adds.
pub fn table(all: &[Figure]) -> String {
    let sizes: BTreeSet<usize> = all.iter().map(|one| one.resources).collect();
    let mut rows: Vec<(&str, &str, &str)> = Vec::new();
    for one in all {
        let row = (one.phase.as_str(), one.name.as_str(), one.unit.as_str());
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    let mut text = "| | |".to_owned();
    for size in &sizes {
        let _ = write!(text, " {size} |");
    }
    text += " each more |\n|---|---|";
    text += &"---|".repeat(sizes.len() + 1);
    text += "\n";
    for (phase, name, unit) in rows {
        let of = |size: usize| {
            let mut found = all.iter().filter(|one| one.resources == size);
            found
                .find(|one| (one.phase.as_str(), one.name.as_str()) == (phase, name))
                .map(|one| one.value)
        };
        let _ = write!(text, "| {phase} | {name} |");
        let mut points = Vec::new();
        for &size in &sizes {
            let value = of(size);
            points.extend(value.map(|value| (size, value)));
            let shown = value.map_or(String::new(), |value| shown(value, unit));
            let _ = write!(text, " {shown} |");
        }
        let slope = slope(&points).map_or(String::new(), |slope| shown(slope, unit));
        let _ = writeln!(text, " {slope} |");
    }
    text
}

fn shown(value: f64, unit: &str) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        small if small < 0.1 => 4,
        small if small < 10.0 => 2,
        small if small < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

/// How much one more resource adds, between the fewest and the most.
pub fn slope(points: &[(usize, f64)]) -> Option<f64> {
    let (least, most) = (points.first()?, points.last()?);
    let more = u32::try_from(most.0.checked_sub(least.0)?).ok()?;
    (more > 0).then(|| (most.1 - least.1) / f64::from(more))
}

/// The value below which that share of all lies, and the one at it.
pub fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a few thousand values"
    )]
    let place = ((values.len() as f64 * share).ceil() as usize).max(1) - 1;
    values
        .get(place.min(values.len().saturating_sub(1)))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(resources: usize, phase: &str, value: f64) -> Figure {
        Figure {
            resources,
            phase: phase.to_owned(),
            name: "memory".to_owned(),
            unit: "MiB".to_owned(),
            value,
        }
    }

    #[test]
    fn what_is_measured_again_takes_the_place_of_what_was() {
        let file = std::env::temp_dir().join(format!("figures-{}.csv", std::process::id()));
        let first = [figure(10, "rest", 20.0), figure(100, "rest", 29.0)];
        keep(&file, &first).unwrap();
        keep(&file, &[figure(10, "start", 25.0)]).unwrap();
        keep(&file, &[figure(10, "rest", 11.0)]).unwrap();
        let all = read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(all.len(), 3, "{all:?}");
        let shown = table(&all);
        assert!(
            shown.contains("| rest | memory | 11.0 MiB | 29.0 MiB | 0.20 MiB |"),
            "{shown}"
        );
        assert!(
            shown.contains("| start | memory | 25.0 MiB |  |  |"),
            "{shown}"
        );
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert!((quantile(&mut values, 0.5).unwrap() - 50.0).abs() < 0.1);
        assert!((quantile(&mut values, 0.99).unwrap() - 99.0).abs() < 0.1);
        assert!((quantile(&mut [7.0], 0.99).unwrap() - 7.0).abs() < 0.1);
        assert_eq!(quantile(&mut [], 0.5), None);
    }
}
