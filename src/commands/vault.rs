//! `orgpipe vault rotate-key`: another key for what customers have granted.
//!
//! Here: where the next key comes from, and what came of it in words. Not here: the work
//! (`orgpipe_actors::rotate_vault_key`).

use std::process::ExitCode;

use orgpipe_actors::{KeyRotation, clock::Clock, rotate_vault_key, settings::VaultKey};

use crate::{
    audit_log,
    cli::{RotateKeyArgs, VaultAction, VaultArgs},
    config::{self, Environment},
    output,
};

/// Does what was asked for.
pub(crate) fn run(args: &VaultArgs) -> ExitCode {
    match &args.action {
        VaultAction::RotateKey(args) => rotate_key(args).unwrap_or_else(|exit| exit),
    }
}

fn rotate_key(args: &RotateKeyArgs) -> Result<ExitCode, ExitCode> {
    let environment = Environment::of_process();
    let config = config::load(&args.config, &environment);
    let mut settings = config.map_err(|problems| output::problems(&args.config, &problems))?.settings;
    settings.failpoints = environment.failpoints().map_err(|error| output::failure(&error, None))?;
    let next = args.next_key_env.as_deref().map(|name| environment.vault_key(name)).transpose();
    let next =
        next.map_err(|problem| output::failure(&NoNextKey(problem.to_string()), Some(&problem.hint())))?;
    let kept = audit_log::without_service("rotate vault key", Clock::start().now_ms());
    let rotated = actix_rt::System::new().block_on(rotate_vault_key(&settings, next, kept));
    let rotation = rotated.map_err(|error| output::failure(&error, error.hint().as_deref()))?;
    for line in lines(&rotation, &settings.vault_key) {
        output::line(&line);
    }
    Ok(if rotation.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Debug, thiserror::Error)]
#[error("--next-key-env {0}")]
struct NoNextKey(String);

/// What came of it, line by line.
fn lines(rotation: &KeyRotation, key: &VaultKey) -> Vec<String> {
    let sealed = match rotation.resealed {
        0 => "no org has a refresh token stored that could be sealed".to_owned(),
        1 => "the refresh token of 1 org is sealed by the next key".to_owned(),
        orgs => format!("the refresh tokens of {orgs} orgs are sealed by the next key"),
    };
    let unreadable = rotation.unreadable.iter().map(|org| {
        format!(
            "org `{org}`: neither key opens its refresh token; the customer has to authorise orgpipe again"
        )
    });
    let now = match key {
        VaultKey::File(path) => format!(
            "the next key is now in {}; keep a copy of it where no copy of the data directory is",
            path.display()
        ),
        VaultKey::Given(_) => {
            "give the service the next key in the variable that `service.vault_key_env` names before you start it"
                .to_owned()
        }
    };
    let links =
        "links of invitations that are still open are void: `orgpipe orgs invite` makes new ones".to_owned();
    [sealed].into_iter().chain(unreadable).chain([now, links]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_how_many_are_sealed_and_which_are_not() {
        let key = VaultKey::File("data.key".into());
        let told = lines(&KeyRotation { resealed: 2, unreadable: vec!["acme".to_owned()] }, &key).join("\n");
        assert!(told.starts_with("the refresh tokens of 2 orgs are sealed"), "{told}");
        assert!(
            told.contains("\norg `acme`: neither key opens") && told.contains("now in data.key"),
            "{told}"
        );
        let told = lines(&KeyRotation { resealed: 1, unreadable: Vec::new() }, &key);
        assert_eq!((told.len(), told[0].contains("of 1 org is sealed")), (3, true), "{told:?}");
    }
}
