//! All that is printed goes through here: text and tables for people, JSON and YAML for scripts.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use clap::ColorChoice;
use serde::Serialize;
use tabwriter::TabWriter;

use crate::args::Form;
use crate::failure::Failure;

/// What a word is to its reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    Heading,
    Good,
    /// Something is waited for.
    Waits,
    Bad,
    Faint,
}

impl Tone {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Heading => Style::new().bold(),
            Self::Good => colour(AnsiColor::Green),
            Self::Waits => colour(AnsiColor::Yellow),
            Self::Bad => colour(AnsiColor::Red),
            Self::Faint => Style::new().dimmed(),
        }
    }
}

/// A word of a line or a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub tone: Tone,
}

impl Word {
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
        }
    }
}

impl<T: Into<String>> From<T> for Word {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Whether what is printed has colour: on a terminal only, where nobody asks for something else.
pub fn colour(asked: ColorChoice, terminal: bool) -> bool {
    match asked {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let unwanted = std::env::var_os("NO_COLOR").is_some_and(|text| !text.is_empty());
            let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            terminal && !unwanted && !dumb
        }
    }
}

pub struct Out {
    to: Box<dyn Write + Send>,
    coloured: bool,
    terminal: bool,
    form: Option<Form>,
}

impl Out {
    pub fn new(to: Box<dyn Write + Send>) -> Self {
        Self {
            to,
            coloured: false,
            terminal: false,
            form: None,
        }
    }

    #[must_use]
    pub fn coloured(mut self, coloured: bool) -> Self {
        self.coloured = coloured;
        self
    }

    #[must_use]
    pub fn on_terminal(mut self, terminal: bool) -> Self {
        self.terminal = terminal;
        self
    }

    pub fn set_form(&mut self, form: Option<Form>) {
        self.form = form;
    }

    /// Prints the same thing for a script where one asks, and for people by `people` else.
    pub fn show<T: Serialize>(
        &mut self,
        value: &T,
        people: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> Result<(), Failure> {
        match self.form {
            None => people(self)?,
            Some(Form::Json) => {
                let text = serde_json::to_string_pretty(value)?;
                writeln!(self.to, "{text}")?;
            }
            Some(Form::Yaml) => {
                let text = serde_saphyr::to_string(value).map_err(io::Error::other)?;
                write!(self.to, "---\n{text}")?;
            }
        }
        self.to.flush()?;
        Ok(())
    }

    pub fn line(&mut self, words: &[Word]) -> io::Result<()> {
        let words: Vec<String> = words.iter().map(|word| self.painted(word)).collect();
        writeln!(self.to, "{}", words.concat())
    }

    pub fn text(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.to, "{text}")
    }

    pub fn raw(&mut self, text: &[u8]) -> io::Result<()> {
        self.to.write_all(text)?;
        self.to.flush()
    }

    /// A heading, and what stands below it.
    pub fn heading(&mut self, text: &str) -> io::Result<()> {
        self.text("")?;
        self.line(&[Word::new(text, Tone::Heading)])
    }

    pub fn table(&mut self, heads: &[&str], rows: &[Vec<Word>]) -> io::Result<()> {
        let mut table = TabWriter::new(Vec::new()).padding(3).ansi(true);
        let heads: Vec<Word> = heads
            .iter()
            .map(|head| Word::new(*head, Tone::Heading))
            .collect();
        let heads = (!heads.is_empty()).then_some(&heads);
        for row in heads.into_iter().chain(rows) {
            let cells: Vec<String> = row.iter().map(|word| self.painted(word)).collect();
            writeln!(table, "{}", cells.join("\t"))?;
        }
        let made = table
            .into_inner()
            .map_err(|error| io::Error::other(error.to_string()))?;
        // An empty last cell leaves spaces behind.
        for line in String::from_utf8_lossy(&made).lines() {
            writeln!(self.to, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Begins a page anew: in place on a terminal, below a line elsewhere.
    pub fn new_page(&mut self, first: bool) -> io::Result<()> {
        match (self.terminal, first) {
            (true, _) => write!(self.to, "\x1b[H\x1b[2J"),
            (false, true) => Ok(()),
            (false, false) => writeln!(self.to, "\n---"),
        }
    }

    pub fn is_for_people(&self) -> bool {
        self.form.is_none()
    }

    /// A cell or a line holds no line break, and no escape sequence of somebody else's.
    fn painted(&self, word: &Word) -> String {
        let text: String = word
            .text
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        if !self.coloured || word.tone == Tone::Plain {
            return text;
        }
        let style = word.tone.style();
        format!("{style}{text}{style:#}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    /// What was printed.
    #[derive(Clone, Default)]
    pub struct Page(Arc<Mutex<Vec<u8>>>);

    impl Page {
        pub fn out(&self) -> Out {
            Out::new(Box::new(self.clone()))
        }

        pub fn text(&self) -> String {
            let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            String::from_utf8_lossy(&written).into_owned()
        }
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            written.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn rows() -> Vec<Vec<Word>> {
        vec![
            vec![Word::new("mainnet", Tone::Bad), "Stalled".into()],
            vec!["a".into(), "".into()],
        ]
    }

    #[test]
    fn columns_stand_below_each_other_with_and_without_colour() {
        let page = Page::default();
        page.out()
            .table(&["NODE", "PHASE"], &rows())
            .expect("it is written");
        assert_eq!(page.text(), "NODE      PHASE\nmainnet   Stalled\na\n");

        let page = Page::default();
        let mut out = page.out().coloured(true);
        out.table(&["NODE", "PHASE"], &rows())
            .expect("it is written");
        let plain = page
            .text()
            .replace("\x1b[1m", "")
            .replace("\x1b[31m", "")
            .replace("\x1b[0m", "");
        assert!(
            page.text().contains("\x1b[31mmainnet\x1b[0m"),
            "{}",
            page.text()
        );
        assert_eq!(plain, "NODE      PHASE\nmainnet   Stalled\na\n");
    }

    #[test]
    fn what_a_resource_says_neither_breaks_a_line_nor_paints_the_terminal() {
        let page = Page::default();
        page.out()
            .line(&["one\ntwo\x1b[31m".into()])
            .expect("it is written");
        assert_eq!(page.text(), "one two [31m\n");
    }

    #[test]
    fn colour_is_on_a_terminal_only_where_nobody_asks_for_something_else() {
        assert!(!colour(ColorChoice::Auto, false));
        assert!(colour(ColorChoice::Always, false));
        assert!(!colour(ColorChoice::Never, true));
    }
}
