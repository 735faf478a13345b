//! Files that hold what the code made when it was last looked at by a person.

use std::path::{Path, PathBuf};

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares a text with the committed file, and says where they part. With `UPDATE_GOLDEN=1` in the
/// environment the file is written instead.
pub fn assert_golden(path: &str, made: &str, advice: &str) {
    let file = repository(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, made).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{path} can't be read: {error}\n{advice}"));
    if kept == made {
        return;
    }
    let line = kept
        .lines()
        .zip(made.lines())
        .take_while(|(kept, made)| kept == made)
        .count();
    let at = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
    panic!(
        "{path} differs from line {} on\n  kept: {}\n  made: {}\n{advice}",
        line + 1,
        at(&kept),
        at(made)
    );
}
