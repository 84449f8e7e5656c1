//! The environment and files: the only place where secrets come in.
//!
//! Here: reading them, who else can read them, and texts that never show a value. Not here: which key names which secret
//! (`resolve`).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use orgpipe_actors::{
    Failpoints, NoFailpoint,
    sealing::{NoKey, SealingKey},
};
use secrecy::{ExposeSecret, SecretString};

/// Bytes of a file with certificates that are read at all.
const CERTIFICATES_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of a file with a secret that are read at all.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// What a file's mode gives to anybody but its owner.
const OTHERS: u32 = 0o077;
/// A text of so many characters without a folder in it may be a secret that stands where a path is expected.
const SECRET_CHARS: usize = 24;

/// Where tests let the program fail. Not a setting: an operator has no use for it.
const FAILPOINTS: &str = "ORGPIPE_TEST_FAILPOINTS";
/// Holds a token for the running service.
const SERVICE_TOKEN: &str = "ORGPIPE_TOKEN";
/// Bytes of a file with such a token that are read at all.
const TOKEN_BYTES_MAX: u64 = 4 * 1024;

/// The folder to which tests have all that is said written as well. No setting, either.
const TRANSCRIPTS: &str = "ORGPIPE_TEST_TRANSCRIPTS";

/// Why a secret is not at hand.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretProblem {
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
    /// No such file, and what should name it may be the secret itself.
    #[error("names no file that is there (not shown, it may be a secret)")]
    NoFile,
    /// There is nothing in the file.
    #[error("names the file `{path}`, which is empty")]
    Empty {
        /// The file.
        path: String,
    },
    /// The variable has something else in it.
    #[error("names `{name}`: {cause}")]
    NoVaultKey {
        /// The variable.
        name: String,
        /// What is wrong.
        #[source]
        cause: NoKey,
    },
    /// Whatever it is, it is more than one word.
    #[error("names a secret with blanks, line ends or letters beyond ASCII in it")]
    NotOneWord,
}

impl SecretProblem {
    /// What to do.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NotAName => {
                "Write a name of capital letters, digits and `_`, and give that variable the secret."
                    .to_owned()
            }
            Self::NotSet { name } => {
                format!("Set `{name}` for the user that runs orgpipe; an empty variable counts as not set.")
            }
            Self::NoFile => {
                "Write the path of a file that holds the secret; a relative path starts at the settings file."
                    .to_owned()
            }
            Self::Empty { .. } => "Write the secret into it, and nothing else.".to_owned(),
            Self::NoVaultKey { .. } => NoKey::HINT.to_owned(),
            Self::NotOneWord => {
                "Give the bare secret as Salesforce shows it: no quotes, no name in front, one line."
                    .to_owned()
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
/// From a path to the mode of the file.
type FileMode = dyn Fn(&Path) -> Option<u32>;

/// From a path to the TOML files in it, or why not.
type Folder = dyn Fn(&Path) -> Result<Vec<PathBuf>, String>;

/// What stands for each secret where none is looked at: it has the form of a vault key and of a token.
const PLACEHOLDER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Where variables and files come from: the process, texts that were read before, or a test.
pub(crate) struct Environment {
    variable: Box<Variable>,
    file: Box<TextFile>,
    mode: Box<FileMode>,
    folder: Box<Folder>,
    /// Whether secrets and certificates are looked at; else something stands for each.
    looks: bool,
}

impl Environment {
    /// The variables of this process and the files of this machine.
    pub(crate) fn of_process() -> Self {
        Self {
            variable: Box::new(process_variable),
            file: Box::new(read_file),
            mode: Box::new(mode_of),
            folder: Box::new(toml_files),
            looks: true,
        }
    }

    /// These files, wherever a folder of orgs is named, and nothing of this machine: whoever sends settings to be looked at learns
    /// nothing of it by them, and they may name secrets that are not there yet.
    pub(crate) fn of_texts(orgs: &[(PathBuf, String)]) -> Self {
        let texts: BTreeMap<PathBuf, String> = orgs.iter().cloned().collect();
        let files: Vec<PathBuf> = texts.keys().cloned().collect();
        let file =
            move |path: &Path, _| texts.get(path).cloned().ok_or_else(|| "it is not looked at".to_owned());
        Self {
            variable: Box::new(|_| Some(PLACEHOLDER.to_owned())),
            file: Box::new(file),
            mode: Box::new(|_| None),
            folder: Box::new(move |_| Ok(files.clone())),
            looks: false,
        }
    }

    /// Whether secrets and certificates are looked at.
    pub(super) fn looks(&self) -> bool {
        self.looks
    }

    /// Any source.
    #[cfg(test)]
    pub(super) fn from_functions(
        variable: impl Fn(&str) -> Option<String> + 'static,
        file: impl Fn(&Path, u64) -> Result<String, String> + 'static,
    ) -> Self {
        let folder = |_: &Path| Ok(Vec::new());
        Self {
            variable: Box::new(variable),
            file: Box::new(file),
            mode: Box::new(|_| None),
            folder: Box::new(folder),
            looks: true,
        }
    }

    /// The same, with this machine's folders, and its files where there is none of that name.
    #[cfg(test)]
    pub(super) fn with_files_of_process(self) -> Self {
        let named = self.file;
        let file = move |path: &Path, bytes_max| {
            let name = path.file_name().map_or(path, Path::new);
            named(&Path::new("config/secrets").join(name), bytes_max).or_else(|_| read_file(path, bytes_max))
        };
        Self { file: Box::new(file), folder: Box::new(toml_files), ..self }
    }

    /// The text of a file of at most `bytes_max` bytes.
    pub(super) fn read(&self, path: &Path, bytes_max: u64) -> Result<String, String> {
        (self.file)(path, bytes_max)
    }

    /// The files of a folder whose names end in `.toml`, by name; other files are somebody else's.
    pub(super) fn toml_files(&self, folder: &Path) -> Result<Vec<PathBuf>, String> {
        (self.folder)(folder)
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

    /// The vault key that a variable holds.
    pub(crate) fn vault_key(&self, name: &str) -> Result<SealingKey, SecretProblem> {
        let text = self.variable(name)?;
        SealingKey::parse(text.expose_secret())
            .map_err(|cause| SecretProblem::NoVaultKey { name: name.to_owned(), cause })
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

    /// The folder of a test's transcripts; none unless its variable is set.
    pub(crate) fn transcripts(&self) -> Option<PathBuf> {
        (self.variable)(TRANSCRIPTS).filter(|folder| !folder.is_empty()).map(PathBuf::from)
    }

    /// The text of a file that holds a secret and nothing else; surrounding blanks and line ends are not part of it. `written`
    /// starts from `folder`.
    pub(super) fn secret_file(&self, folder: &Path, written: &str) -> Result<SecretString, SecretProblem> {
        if !self.looks {
            return Ok(SecretString::from(PLACEHOLDER));
        }
        let path = folder.join(written);
        let shown = path.display().to_string();
        match self.read(&path, SECRET_BYTES_MAX) {
            Ok(text) if text.trim().is_empty() => Err(SecretProblem::Empty { path: shown }),
            Ok(text) => Ok(SecretString::from(text.trim())),
            Err(_) if may_be_a_secret(written) => Err(SecretProblem::NoFile),
            Err(cause) => Err(SecretProblem::Unreadable { path: shown, cause }),
        }
    }

    /// The mode of a file if others than its owner may do anything with it.
    pub(super) fn mode_for_others(&self, path: &Path) -> Option<u32> {
        (self.mode)(path).map(|mode| mode & 0o777).filter(|mode| mode & OTHERS != 0)
    }
}

/// A private key as its file has it. In a variable it often stands in quotes, with the two characters `\n` for each line end.
pub(super) fn pem(text: &SecretString) -> SecretString {
    let text = text.expose_secret().trim().trim_matches(['"', '\'']);
    SecretString::from(text.replace("\\r", "").replace("\\n", "\n").replace('\r', "").trim())
}

/// A secret that Salesforce gives out: it is sent as it is, so that a stray blank would be refused there.
pub(super) fn one_word(text: SecretString) -> Result<SecretString, SecretProblem> {
    let is_one = text.expose_secret().bytes().all(|byte| byte.is_ascii_graphic());
    if is_one { Ok(text) } else { Err(SecretProblem::NotOneWord) }
}

/// Whether what names no file looks like what should be in the file.
fn may_be_a_secret(written: &str) -> bool {
    written.chars().count() >= SECRET_CHARS && !written.contains('/')
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

#[expect(clippy::disallowed_methods, reason = "this is the file the environment is read in")]
fn process_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The mode of a file, as `stat` tells it.
fn mode_of(path: &Path) -> Option<u32> {
    Some(fs::metadata(path).ok()?.permissions().mode())
}

fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let listed = std::fs::read_dir(folder).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
    });
    let mut files = listed.map_err(|cause| cause.to_string())?;
    files.retain(|file| file.extension().is_some_and(|end| end == "toml"));
    files.sort();
    Ok(files)
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

    const KEY: &str = include_str!("../../tests/data/throwaway-key.pem");

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
    fn a_key_in_a_variable_is_read_however_it_was_put_there() {
        let lines = KEY.trim().lines().collect::<Vec<_>>();
        for written in [
            KEY.to_owned(),
            lines.join("\r\n"),
            lines.join("\\n"),
            lines.join("\\r\\n") + "\\n",
            format!("\"{}\"", lines.join("\\n")),
            format!("'{KEY}'"),
            format!("\"{}\\n\"\n", lines.join("\\n")),
        ] {
            assert_eq!(
                pem(&SecretString::from(written.as_str())).expose_secret(),
                KEY.trim(),
                "{}",
                written.len()
            );
        }
    }

    #[test]
    fn a_secret_that_stands_where_a_path_belongs_is_not_repeated() {
        let environment = Environment::from_functions(
            |_| None,
            |path, _| match path.to_str() {
                Some("config/empty") => Ok("\n".to_owned()),
                Some("config/token") => Ok("5Aep\n".to_owned()),
                _ => Err("no such file".to_owned()),
            },
        );
        let read = |path: &str| environment.secret_file(Path::new("config"), path);
        assert_eq!(read("token").unwrap().expose_secret(), "5Aep");
        assert_eq!(read("empty").unwrap_err(), SecretProblem::Empty { path: "config/empty".to_owned() });
        for path in ["jwt.key", "secrets/of-a-customer-with-a-long-name.key"] {
            assert!(read(path).unwrap_err().to_string().contains(path), "{path}");
        }
        for pasted in ["5Aep861KIwKdekr90I4iHdLSPGcNfuU.x", "0123456789abcdef0123456789abcdef"] {
            let problem = read(pasted).unwrap_err();
            assert_eq!(problem, SecretProblem::NoFile);
            assert!(!problem.to_string().contains(pasted), "{problem}");
        }
    }

    #[test]
    fn a_word_has_no_blanks() {
        for (text, expected) in
            [("5Aep!.x_y=", true), ("two words", false), ("two\nlines", false), ("schlüssel", false)]
        {
            assert_eq!(one_word(SecretString::from(text)).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn only_a_file_that_others_may_touch_has_a_mode_for_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let environment = Environment::of_process();
        for (mode, expected) in
            [(0o600, None), (0o400, None), (0o640, Some(0o640)), (0o604, Some(0o604)), (0o622, Some(0o622))]
        {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(environment.mode_for_others(file.path()), expected, "{mode:o}");
        }
        assert_eq!(environment.mode_for_others(Path::new("/nowhere/at/all")), None);
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
