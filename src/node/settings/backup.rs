//! Whether the node dumps its database before it migrates it to a newer version.

use super::toml_check::{parse, values};

/// Why the node makes no dump at the start of a newer version, as a part of a sentence; `None` where it makes one, or
/// where that can't be told: a file is in a Secret (no text), or not readable.
///
/// `Mode` is `none` by default, `OnVersionUpgrade` is true (`docs/CONFIG.md` of the node); the last file that sets a
/// value wins.
#[must_use]
pub fn backup_off_by_files(files: &[Option<&str>]) -> Option<&'static str> {
    let tables: Vec<toml::Table> = files
        .iter()
        .map(|text| parse((*text)?).ok())
        .collect::<Option<_>>()?;
    let last = |key: &str| {
        tables.iter().rev().find_map(|table| {
            let values = values(table, &["Database", "Backup", key]);
            values.last().map(ToString::to_string)
        })
    };
    let mode = last("Mode");
    let mode = mode.as_deref().map(|mode| mode.trim_matches(['"', '\'']));
    off(
        mode,
        last("OnVersionUpgrade").as_deref(),
        "Database.Backup.",
    )
}

/// As [`backup_off_by_files`], by environment variables: name and value, or no value where that is in a Secret. The
/// node reads a switch with Go's `strconv.ParseBool`, and takes its default, true, for what that does not know
/// (upstream's `core/config/parse/parsers.go`, read).
#[must_use]
pub fn backup_off_by_variables(variables: &[(&str, Option<&str>)]) -> Option<&'static str> {
    let value = |name: &str| {
        let mut all = variables.iter().rev();
        all.find(|(other, _)| *other == name)
            .map(|(_, value)| *value)
    };
    let mode = value("DATABASE_BACKUP_MODE");
    let upgrade = value("DATABASE_BACKUP_ON_VERSION_UPGRADE");
    if mode == Some(None) || upgrade == Some(None) {
        return None;
    }
    let upgrade = upgrade.flatten().map(|text| {
        let no = matches!(text, "0" | "f" | "F" | "false" | "False" | "FALSE");
        if no { "false" } else { text }
    });
    off(mode.flatten(), upgrade, "DATABASE_BACKUP_")
}

fn off(mode: Option<&str>, on_upgrade: Option<&str>, prefix: &str) -> Option<&'static str> {
    let toml = prefix.starts_with("Database");
    match (mode, on_upgrade) {
        (None, _) if toml => Some("Database.Backup.Mode is none, the node's default"),
        (None, _) => Some("DATABASE_BACKUP_MODE is none, the node's default"),
        (Some("none"), _) if toml => Some("Database.Backup.Mode is none"),
        (Some("none"), _) => Some("DATABASE_BACKUP_MODE is none"),
        (_, Some("false")) if toml => Some("Database.Backup.OnVersionUpgrade is false"),
        (_, Some("false")) => Some("DATABASE_BACKUP_ON_VERSION_UPGRADE is false"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_off_by_default_by_its_mode_or_for_upgrades_and_the_last_file_counts() {
        let lite = Some("Database.Backup.Mode = 'lite'");
        let none = Some("[Database.Backup]\nMode = 'none'");
        let never = Some("[Database.Backup]\nOnVersionUpgrade = false");
        assert_eq!(backup_off_by_files(&[lite]), None);
        assert_eq!(backup_off_by_files(&[none, lite]), None);
        let off = Some("Database.Backup.Mode is none");
        assert_eq!(backup_off_by_files(&[lite, none]), off);
        let off = Some("Database.Backup.OnVersionUpgrade is false");
        assert_eq!(backup_off_by_files(&[lite, never]), off);
        let off = Some("Database.Backup.Mode is none, the node's default");
        assert_eq!(backup_off_by_files(&[]), off);
        assert_eq!(backup_off_by_files(&[None, none]), None, "not known");
    }

    #[test]
    fn a_version_1_node_is_told_by_variables() {
        let mode = |value| ("DATABASE_BACKUP_MODE", value);
        let upgrade = |value| ("DATABASE_BACKUP_ON_VERSION_UPGRADE", Some(value));
        assert_eq!(backup_off_by_variables(&[mode(Some("full"))]), None);
        assert_eq!(backup_off_by_variables(&[mode(None)]), None, "not known");
        let off = Some("DATABASE_BACKUP_MODE is none");
        assert_eq!(backup_off_by_variables(&[mode(Some("none"))]), off);
        let off = Some("DATABASE_BACKUP_ON_VERSION_UPGRADE is false");
        for no in ["0", "f", "F", "false", "False", "FALSE"] {
            let variables = [mode(Some("full")), upgrade(no)];
            assert_eq!(backup_off_by_variables(&variables), off, "{no}");
        }
        for yes in ["1", "t", "TRUE", "no", "fAlse", ""] {
            let variables = [mode(Some("full")), upgrade(yes)];
            assert_eq!(backup_off_by_variables(&variables), None, "{yes}");
        }
        let off = Some("DATABASE_BACKUP_MODE is none, the node's default");
        assert_eq!(backup_off_by_variables(&[]), off);
    }
}
