//! The environment and files: the only place where secrets come in.
//!
//! Here: reading them, and texts that never show a value. Not here: which key names which secret (`resolve`).

use std::{fs::File, io::Read, path::Path};

use orgpipe_actors::{Failpoints, NoFailpoint};
use secrecy::{ExposeSecret as _, SecretString};

/// Bytes of a file with certificates that are read at all.
const CERTIFICATES_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of a private key file that are read at all.
const KEY_BYTES_MAX: u64 = 64 * 1024;

/// Where tests let the program fail. Not a setting: an operator has no use for it.
const FAILPOINTS: &str = "ORGPIPE_TEST_FAILPOINTS";
/// Holds a token for the running service.
const SERVICE_TOKEN: &str = "ORGPIPE_TOKEN";
/// Bytes of a file with such a token that are read at all.
const TOKEN_BYTES_MAX: u64 = 4 * 1024;

/// Why a secret is not at hand.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SecretProblem {
    /// What should name a variable does not look like a name; it may be the secret itself.
    #[error("is not the name of an environment variable (not shown, it may be a secret)")]
    NotAName,
    /// No such variable.
    #[error("names the environment variable `{name}`, which is not set")]
    NotSet {
        /// The variable.
        name: String,
    },
    /// The file cannot be read.
    #[error("names the file `{path}`, which cannot be read: {cause}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        cause: String,
    },
}

impl SecretProblem {
    /// What to do.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::NotAName => {
                "Write a name of capital letters, digits and `_`, and give that variable the secret."
                    .to_owned()
            }
            Self::NotSet { name } => {
                format!("Set `{name}` for the user that runs orgpipe; an empty variable counts as not set.")
            }
            Self::Unreadable { .. } => {
                "Let the user that runs orgpipe read it; a relative path starts at the settings file."
                    .to_owned()
            }
        }
    }
}

/// From the name of a variable to its value.
type Variable = dyn Fn(&str) -> Option<String>;
/// From a path and the most bytes to read to the text, or why not.
type TextFile = dyn Fn(&Path, u64) -> Result<String, String>;

/// Where variables and files come from: the process, or a test.
pub(crate) struct Environment {
    variable: Box<Variable>,
    file: Box<TextFile>,
}

impl Environment {
    /// The variables of this process and the files of this machine.
    pub(crate) fn of_process() -> Self {
        Self { variable: Box::new(process_variable), file: Box::new(read_file) }
    }

    /// Any source.
    #[cfg(test)]
    pub(super) fn from_functions(
        variable: impl Fn(&str) -> Option<String> + 'static,
        file: impl Fn(&Path, u64) -> Result<String, String> + 'static,
    ) -> Self {
        Self { variable: Box::new(variable), file: Box::new(file) }
    }

    /// The text of a file of at most `bytes_max` bytes.
    pub(super) fn read(&self, path: &Path, bytes_max: u64) -> Result<String, String> {
        (self.file)(path, bytes_max)
    }

    /// The value of a variable; surrounding blanks and line ends are not part of it.
    pub(super) fn variable(&self, name: &str) -> Result<SecretString, SecretProblem> {
        if !is_variable_name(name) {
            return Err(SecretProblem::NotAName);
        }
        match (self.variable)(name) {
            Some(value) if !value.trim().is_empty() => Ok(SecretString::from(value.trim())),
            _ => Err(SecretProblem::NotSet { name: name.to_owned() }),
        }
    }

    /// The failpoints of a test; none unless its variable is set.
    pub(crate) fn failpoints(&self) -> Result<Failpoints, NoFailpoint> {
        (self.variable)(FAILPOINTS).unwrap_or_default().parse()
    }

    /// A token for the running service, and where it comes from: of its variable, else of this file. Or why there is none.
    pub(crate) fn service_token(&self, file: &Path) -> Result<(SecretString, String), String> {
        let is_word = |token: &str| !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic());
        if let Ok(token) = self.variable(SERVICE_TOKEN) {
            let from = format!("the variable `{SERVICE_TOKEN}`");
            return if is_word(token.expose_secret()) {
                Ok((token, from))
            } else {
                Err(format!("{from} holds something else"))
            };
        }
        let why = match self.read(file, TOKEN_BYTES_MAX) {
            Ok(text) if is_word(text.trim()) => {
                let token = SecretString::from(text.trim());
                return Ok((token, format!("the file `{}`", file.display())));
            }
            Ok(text) if text.trim().is_empty() => "is empty".to_owned(),
            Ok(_) => "holds something else".to_owned(),
            Err(cause) => format!("cannot be read: {cause}"),
        };
        Err(format!("the variable `{SERVICE_TOKEN}` is not set, and the file `{}` {why}", file.display()))
    }

    /// The text of a file with certificates.
    pub(crate) fn certificates(&self, path: &Path) -> Result<String, String> {
        self.read(path, CERTIFICATES_BYTES_MAX)
    }

    /// The text of a private key file.
    pub(super) fn key_file(&self, path: &Path) -> Result<SecretString, SecretProblem> {
        match self.read(path, KEY_BYTES_MAX) {
            Ok(text) => Ok(SecretString::from(text)),
            Err(cause) => Err(SecretProblem::Unreadable { path: path.display().to_string(), cause }),
        }
    }
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

#[expect(clippy::disallowed_methods, reason = "this is the file the environment is read in")]
fn process_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read_file(path: &Path, bytes_max: u64) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|cause| cause.to_string())?;
    file.take(bytes_max + 1).read_to_string(&mut text).map_err(|cause| cause.to_string())?;
    match u64::try_from(text.len()) {
        Ok(bytes) if bytes <= bytes_max => Ok(text),
        _ => Err(format!("it is larger than {bytes_max} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_trimmed_and_an_empty_one_is_not_set() {
        let value = |name: &str| match name {
            "TOKEN" => Some(" abc\n".to_owned()),
            "EMPTY" => Some(" ".to_owned()),
            _ => None,
        };
        let environment = Environment::from_functions(value, |_, _| Err("no files".to_owned()));
        assert_eq!(environment.variable("TOKEN").unwrap().expose_secret(), "abc");
        for name in ["EMPTY", "ABSENT"] {
            let expected = SecretProblem::NotSet { name: name.to_owned() };
            assert_eq!(environment.variable(name).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_token_of_the_variable_goes_before_that_of_the_file() {
        let found = |variable: Option<&'static str>, file: Result<&'static str, &'static str>| {
            let variable = move |_: &str| variable.map(str::to_owned);
            let file = move |_: &Path, _| file.map(str::to_owned).map_err(str::to_owned);
            let found = Environment::from_functions(variable, file).service_token(Path::new("x/data.token"));
            found.map(|(token, from)| (token.expose_secret().to_owned(), from))
        };
        let of = |token: &str, from: &str| Ok((token.to_owned(), from.to_owned()));
        assert_eq!(found(Some("op_1"), Ok("op_2\n")), of("op_1", "the variable `ORGPIPE_TOKEN`"));
        assert_eq!(found(Some(" "), Ok("op_2\n")), of("op_2", "the file `x/data.token`"));
        let unset = "the variable `ORGPIPE_TOKEN` is not set, and the file `x/data.token`";
        assert_eq!(
            found(Some("op 1"), Ok("op_2\n")),
            Err("the variable `ORGPIPE_TOKEN` holds something else".to_owned())
        );
        assert_eq!(found(None, Ok("[service]\nop")), Err(format!("{unset} holds something else")));
        assert_eq!(found(None, Ok("\n")), Err(format!("{unset} is empty")));
        assert_eq!(found(None, Err("no such file")), Err(format!("{unset} cannot be read: no such file")));
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        let environment = Environment::from_functions(|_| None, |_, _| Err("no files".to_owned()));
        for pasted in ["sk-live-1234", "", "1234ABCD", "abcDEF"] {
            let problem = environment.variable(pasted).unwrap_err();
            assert_eq!(problem, SecretProblem::NotAName);
            assert!(pasted.is_empty() || !problem.to_string().contains(pasted));
        }
    }

    #[test]
    fn a_file_is_read_up_to_its_limit_only() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abcd").unwrap();
        assert_eq!(read_file(file.path(), 4).unwrap(), "abcd");
        assert!(read_file(file.path(), 3).unwrap_err().contains("3 bytes"));
        assert!(read_file(Path::new("/nowhere/at/all"), 3).is_err());
    }
}
