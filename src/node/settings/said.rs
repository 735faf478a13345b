//! What a user's configuration says in the end, as far as it can be read: the last file or variable that sets a value
//! wins, and what stands in a Secret is not known.

use toml::Value;

use super::toml_check::{parse, values};

/// A user's configuration: each text or value, or nothing where it is in a Secret.
#[derive(Clone, Copy, Debug)]
pub enum Settings<'a> {
    /// The texts of the files, in their order.
    Files(&'a [Option<&'a str>]),
    /// Names and values, and whether there may be more.
    Variables(&'a [(&'a str, Option<&'a str>)], More),
}

/// Whether a whole Secret is variables, whose names are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    No,
    InSecrets,
}

/// What is known of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The node's default.
    Nothing,
    This(String),
    /// It may stand in a Secret, or can't be read.
    Unknown,
}

/// One setting in its two names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) path: &'static [&'static str],
    pub(super) variable: &'static str,
}

impl Setting {
    /// As a person would write it in this configuration.
    pub(super) fn name(self, settings: Settings<'_>) -> String {
        match settings {
            Settings::Files(_) => self.path.join("."),
            Settings::Variables(..) => self.variable.to_owned(),
        }
    }

    pub(super) fn said(self, settings: Settings<'_>) -> Said {
        match settings {
            Settings::Files(files) => self.in_files(files),
            Settings::Variables(variables, more) => self.in_variables(variables, more),
        }
    }

    /// What is said outside of Secrets.
    pub(super) fn readable(self, settings: Settings<'_>) -> Said {
        let said = match settings {
            Settings::Files(texts) => {
                let texts: Vec<_> = texts.iter().flatten().map(|text| Some(*text)).collect();
                self.in_files(&texts)
            }
            Settings::Variables(variables, _) => self.in_variables(variables, More::No),
        };
        match said {
            Said::This(text) if text.is_empty() => Said::Nothing,
            said => said,
        }
    }

    fn in_files(self, files: &[Option<&str>]) -> Said {
        for text in files.iter().rev() {
            let Some(Ok(table)) = text.map(parse) else {
                return Said::Unknown;
            };
            match values(&table, self.path).last() {
                Some(Value::String(text)) => return Said::This(text.clone()),
                Some(value) => return Said::This(value.to_string()),
                None => {}
            }
        }
        Said::Nothing
    }

    fn in_variables(self, variables: &[(&str, Option<&str>)], more: More) -> Said {
        let last = variables
            .iter()
            .rfind(|(name, _)| *name == self.variable)
            .map(|(_, value)| value);
        match last {
            Some(Some("")) => Said::Nothing,
            Some(Some(text)) => Said::This((*text).to_owned()),
            Some(None) => Said::Unknown,
            None if more == More::InSecrets => Said::Unknown,
            None => Said::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODE: Setting = Setting {
        path: &["Database", "Backup", "Mode"],
        variable: "DATABASE_BACKUP_MODE",
    };

    #[test]
    fn the_last_file_wins_and_a_later_secret_is_not_known() {
        let lite = Some("Database.Backup.Mode = 'lite'");
        let none = Some("[database.backup]\nmode = 'none'");
        let said = |files: &[Option<&str>]| MODE.said(Settings::Files(files));
        assert_eq!(said(&[lite, none]), Said::This("none".to_owned()));
        assert_eq!(said(&[None, lite]), Said::This("lite".to_owned()));
        assert_eq!(said(&[lite, None]), Said::Unknown);
        assert_eq!(said(&[Some("")]), Said::Nothing);
        assert_eq!(said(&[Some("not toml")]), Said::Unknown);
    }

    #[test]
    fn a_variable_wins_over_whole_secrets() {
        let said = |variables: &[(&str, Option<&str>)], more| {
            MODE.said(Settings::Variables(variables, more))
        };
        let lite = ("DATABASE_BACKUP_MODE", Some("lite"));
        let this = Said::This("lite".to_owned());
        assert_eq!(said(&[lite], More::InSecrets), this);
        assert_eq!(said(&[], More::InSecrets), Said::Unknown);
        assert_eq!(
            said(&[("DATABASE_BACKUP_MODE", None)], More::No),
            Said::Unknown
        );
        assert_eq!(said(&[], More::No), Said::Nothing);
    }
}
