//! One TOML file that is being read: its text, its lines, and what was found wrong with it.

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

use crate::problem::{Problem, Problems};
use crate::value::secret::Environment;

/// A file's text, and the problems found in it so far.
pub(crate) struct Source {
    path: PathBuf,
    text: String,
    environment: Environment,
    problems: RefCell<Problems>,
}

impl Source {
    /// Reads the file.
    ///
    /// # Errors
    /// If it can't be read or is not UTF-8.
    pub(crate) fn open(path: &Path, environment: Environment) -> std::io::Result<Self> {
        Ok(Self::new(path, std::fs::read_to_string(path)?, environment))
    }

    /// A file whose text is at hand.
    pub(crate) fn new(path: &Path, text: String, environment: Environment) -> Self {
        Self { path: path.to_owned(), text, environment, problems: RefCell::default() }
    }

    /// The file's tree; none if it is not TOML, of which every syntax error is reported. What
    /// could be made of a broken file is not looked at: its problems would be the parser's.
    pub(crate) fn tree(&self) -> Option<Spanned<DeTable<'_>>> {
        let (tree, errors) = DeTable::parse_recoverable(&self.text);
        for error in &errors {
            let message = error.message().trim().replace('\n', ", ");
            self.report(
                error.span().unwrap_or(0..0),
                format!("this is not TOML: {message}; mend this line (https://toml.io)"),
            );
        }
        errors.is_empty().then_some(tree)
    }

    /// What can be made of the file, whether or not it is all TOML. Reports nothing.
    pub(crate) fn tree_so_far(&self) -> Spanned<DeTable<'_>> {
        DeTable::parse_recoverable(&self.text).0
    }

    /// Notes a problem with what stands at `span`.
    pub(crate) fn report(&self, span: Range<usize>, message: impl Into<String>) {
        let line = Some(self.line(span.start));
        let message = message.into();
        self.problems.borrow_mut().push(Problem { file: self.path.clone(), line, message });
    }

    /// The folder that the file's paths are relative to.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Where `${NAME}` is looked up.
    pub(crate) fn environment(&self) -> Environment {
        self.environment
    }

    /// What was found wrong.
    pub(crate) fn into_problems(self) -> Problems {
        self.problems.into_inner()
    }

    /// The line, from 1, of a byte of the text. The parser may point behind the last line break,
    /// where no line is any more.
    pub(crate) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        line.min(self.text.lines().count()).max(1)
    }
}
