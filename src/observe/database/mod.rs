//! What the database itself says of the lock: asked on one short connection, which nothing keeps open.

mod ask;
mod give_back;
mod question;
mod tls;

pub use ask::{Known, Question, Target, ask, ask_server};
pub use give_back::{give_back, give_back_on};
pub use question::question;
