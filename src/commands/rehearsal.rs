//! Simulated orgs and the settings that fit them, for `demo` and `simulate`.
//!
//! Here: config/demo.toml with the simulator's addresses put in. Not here: what is done with them.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use orgpipe_simulator::{Options, OrgHandle, OrgOptions, Ports, Simulator};
use toml::{Table, Value};

/// Syncs and limits of every rehearsal.
const SETTINGS: &str = include_str!("../../config/demo.toml");
/// Names of the first orgs; later ones are numbered.
const NAMES: [&str; 3] = ["acme", "globex", "initech"];

/// By this line a file is known that may be written over.
const FIRST_LINE: &str = "# Written by orgpipe for the simulated orgs that run right now.";

/// Why a rehearsal cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RehearsalError {
    /// A port or a thread.
    #[error("the simulator cannot start: {0}")]
    Simulator(#[source] io::Error),
    /// There are other settings.
    #[error("{} is there already, and orgpipe has not written it for simulated orgs", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The folder.
    #[error("{path} cannot be written: {cause}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why it cannot be written.
        #[source]
        cause: io::Error,
    },
}

/// Starts simulated orgs and a look-up API.
pub(crate) async fn simulator(orgs: u16, time_scale: f64, ports: Ports) -> Result<Simulator, RehearsalError> {
    let orgs = (0..usize::from(orgs))
        .map(|n| {
            OrgOptions::named(
                &NAMES.get(n).map_or_else(|| format!("org{:03}", n + 1), |name| (*name).to_owned()),
            )
        })
        .collect();
    let options = Options { orgs, time_scale, ports, ..Options::default() };
    Simulator::start(options).await.map_err(RehearsalError::Simulator)
}

/// Writes `orgpipe.toml`, `jwt.key` and `client.secret` into a folder, with the first `connected` of the orgs, and gives the
/// settings file's path. The others can be connected by an invitation.
pub(crate) fn write_settings(
    simulator: &Simulator,
    folder: &Path,
    listen: SocketAddr,
    connected: usize,
) -> Result<PathBuf, RehearsalError> {
    let file = folder.join("orgpipe.toml");
    if fs::read_to_string(&file).is_ok_and(|text| !text.starts_with(FIRST_LINE)) {
        return Err(RehearsalError::Foreign { path: file });
    }
    fs::create_dir_all(folder).map_err(|cause| RehearsalError::Write { path: folder.to_owned(), cause })?;
    let key = simulator.orgs().first().map(|org| org.private_key_pem().to_owned()).unwrap_or_default();
    write(&folder.join("jwt.key"), &key)?;
    let secret = simulator.orgs().first().map(|org| org.client_secret().to_owned()).unwrap_or_default();
    write(&folder.join("client.secret"), &secret)?;
    for org in simulator.orgs() {
        org.register_redirect_uri(&format!("http://{listen}/oauth/callback"));
    }
    let text = format!("{FIRST_LINE}\n\n{}", settings(simulator, listen, connected));
    write(&file, &text)?;
    Ok(file)
}

/// Only the owner may read it: one of them is a key.
fn write(path: &Path, text: &str) -> Result<(), RehearsalError> {
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|cause| RehearsalError::Write { path: path.to_owned(), cause })
}

fn settings(simulator: &Simulator, listen: SocketAddr, connected: usize) -> Table {
    let mut settings: Table = SETTINGS.parse().expect("config/demo.toml is TOML, as a test proves");
    let text = |text: &str| Value::String(text.to_owned());
    set(&mut settings, "service", "listen", text(&listen.to_string()));
    set(&mut settings, "service", "data_dir", text("data"));
    set(&mut settings, "source", "url", text(&simulator.vendor().url()));
    set(&mut settings, "connect", "base_url", text(&format!("http://{listen}")));
    set(&mut settings, "connect", "vendor", text("Your company"));
    let client_id = simulator.orgs().first().map(OrgHandle::client_id).unwrap_or_default();
    set(&mut settings, "connect", "client_id", text(client_id));
    set(&mut settings, "connect", "client_secret_file", text("client.secret"));
    let orgs = simulator.orgs().iter().take(connected).map(|org| {
        let auth = [
            ("flow", text("jwt")),
            ("client_id", text(org.client_id())),
            ("username", text(org.username())),
            ("key_file", text("jwt.key")),
        ];
        let auth = auth.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let pairs =
            [("id", text(org.name())), ("login_url", text(&org.base_url())), ("auth", Value::Table(auth))];
        Value::Table(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    });
    let orgs: Vec<Value> = orgs.collect();
    if !orgs.is_empty() {
        settings.insert("org".to_owned(), Value::Array(orgs));
    }
    settings
}

fn set(settings: &mut Table, table: &str, key: &str, value: Value) {
    let entry = settings.entry(table).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(table) = entry {
        table.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn settings_of_somebodys_own_are_not_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let simulator = simulator(1, 1.0, Ports::Ephemeral).await.expect("a simulator");
        let listen = SocketAddr::from(([127, 0, 0, 1], 8787));
        let write = || write_settings(&simulator, folder.path(), listen, 1);
        let file = write().expect("written");
        write().expect("written over");
        fs::write(&file, "# mine").expect("written");
        let error = write().expect_err("it is not ours");
        assert!(error.to_string().contains("is there already"), "{error}");
        assert_eq!(fs::read_to_string(&file).expect("a file"), "# mine");
        simulator.stop().await;
    }

    #[test]
    fn the_demos_settings_are_toml_without_orgs() {
        let settings: Table = SETTINGS.parse().expect("config/demo.toml is TOML");
        assert!(settings.contains_key("sync") && !settings.contains_key("org"));
    }
}
