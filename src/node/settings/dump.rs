//! Where the node's own backup writes, and whether there is room.

use super::said::{Said, Setting, Settings};
use super::{Finding, ROOT_DIR, ROOT_MOUNT};

const MODE: Setting = Setting {
    path: &["Database", "Backup", "Mode"],
    variable: "DATABASE_BACKUP_MODE",
};
const DIR: Setting = Setting {
    path: &["Database", "Backup", "Dir"],
    variable: "DATABASE_BACKUP_DIR",
};

/// A folder that is a volume of every pod, and can be written to.
const TMP: &str = "/tmp";

/// Refuses a folder for dumps that the node can't write to: with a read-only root file system the boot would fail when
/// the node has the lock already (`takeBackupIfVersionUpgrade`, `core/cmd/shell.go`).
///
/// A folder is judged as it is read, even if a Secret might set another: who has the lock has no second try.
#[must_use]
pub fn dump_folder(settings: Settings<'_>) -> Option<Finding> {
    let Said::This(folder) = DIR.said(settings) else {
        return None;
    };
    let off = match MODE.said(settings) {
        Said::Nothing => true,
        Said::This(mode) => mode == "none",
        Said::Unknown => false,
    };
    if off || folder.is_empty() || is_writable(&folder) {
        return None;
    }
    Some(Finding::Refused(format!(
        "spec.config sets {} = {folder:?}, where the node can't write (its root file system is read-only): leave it out for {ROOT_DIR}/backup, or write a folder below {ROOT_MOUNT}",
        DIR.name(settings)
    )))
}

/// Warns of dumps where nothing was said about the room for them. `size` is that of the root folder.
#[must_use]
pub fn dump_must_fit(settings: Settings<'_>, size: &str) -> Option<Finding> {
    let Said::This(mode) = MODE.said(settings) else {
        return None;
    };
    (mode != "none").then(|| {
        Finding::Overridden(format!(
            "spec.config sets {} = {mode:?}: the node writes dumps into its root folder, which holds {size}, and the kubelet evicts an active that has written more; set spec.pod.storage.size to more than two dumps need",
            MODE.name(settings)
        ))
    })
}

/// Below one of the two volumes; a relative path begins in the image's own folder.
fn is_writable(folder: &str) -> bool {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let path = format!("/{}", parts.join("/"));
    let below = |volume: &str| {
        path.strip_prefix(volume)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    folder.starts_with('/') && (below(ROOT_MOUNT) || below(TMP))
}

#[cfg(test)]
mod tests {
    use super::super::More;
    use super::*;

    fn folder(text: &str) -> Option<String> {
        let found = dump_folder(Settings::Files(&[Some(text)]));
        found.map(|finding| finding.message().to_owned())
    }

    #[test]
    fn a_folder_that_the_node_can_not_write_to_is_refused() {
        let backup =
            |dir: &str| folder(&format!("[Database.Backup]\nMode = 'full'\nDir = '{dir}'"));
        assert_eq!(
            backup("/backups").as_deref(),
            Some(
                "spec.config sets Database.Backup.Dir = \"/backups\", where the node can't write (its root file \
                 system is read-only): leave it out for /chainlink/root/backup, or write a folder below /chainlink"
            )
        );
        for dir in [
            "backups",
            "/chainlink/../backups",
            "/chainlinks",
            "/tmpfs",
            "/",
        ] {
            assert!(backup(dir).is_some(), "{dir}");
        }
        for dir in [
            "",
            "/tmp",
            "/tmp/b",
            "/chainlink/backups/",
            "/chainlink/root/backup",
        ] {
            assert_eq!(backup(dir), None, "{dir}");
        }
    }

    #[test]
    fn a_folder_that_no_dump_goes_to_is_nobodys_trouble() {
        assert_eq!(folder("[Database.Backup]\nDir = '/backups'"), None);
        assert_eq!(
            folder("[Database.Backup]\nMode = 'none'\nDir = '/backups'"),
            None
        );
        let variables = [("DATABASE_BACKUP_DIR", Some("/backups"))];
        let of = |more| dump_folder(Settings::Variables(&variables, more));
        assert_eq!(of(More::No), None);
        let found = of(More::InSecrets).unwrap();
        assert!(found.message().contains("DATABASE_BACKUP_DIR"), "{found:?}");
    }

    #[test]
    fn dumps_are_warned_of_where_nobody_said_how_much_they_need() {
        let fit = |text| dump_must_fit(Settings::Files(&[Some(text)]), "1Gi");
        let found = fit("Database.Backup.Mode = 'lite'").unwrap();
        assert!(!found.is_refusal());
        let message = found.message();
        assert!(
            message.contains("holds 1Gi") && message.contains("spec.pod.storage.size"),
            "{message}"
        );
        assert_eq!(fit(""), None);
        assert_eq!(fit("Database.Backup.Mode = 'none'"), None);
    }
}
