//! What a node does in its database between winning the lock and serving: the version guard, migrations, keys, users.

mod accounts;
mod guard;
mod migrations;

pub(crate) use accounts::{Keys, keys, user};
pub(crate) use guard::{check_version, note_version};
pub(crate) use migrations::{Progress, Wishes, migrate};
