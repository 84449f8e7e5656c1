//! `orgpipe run`: start, wait for a signal, drain.
//!
//! Here: the order of these, and which end is which exit code. Not here: starting and draining orgs (`Service`), the
//! admin API (`admin`).

use std::{io, process::ExitCode, time::Duration};

use orgpipe_actors::{Drained, Service};
use orgpipe_store::StoreError;
use secrecy::ExposeSecret as _;

use crate::{
    admin::{self, Admin, FirstToken},
    cli::RunArgs,
    config::{self, Config, Environment},
    in_force::{SettingsFile, reload_and_log},
    output, traces,
};

/// How long a drain may take; what is not done then is done again at the next start. With the second for the admin API
/// and a last commit it is less than the 10 s after which containers are killed.
const DRAIN: Duration = Duration::from_secs(6);

/// Exit code when the service cannot go on by itself; the watchdog has the same.
const A_BUG: u8 = 70;
/// Exit code when the data directory is gone: started again by itself, it would begin an empty one.
const STORE_GONE: u8 = 74;

/// Runs the service until SIGINT or SIGTERM; SIGHUP has it read its settings again.
pub(crate) fn run(args: &RunArgs) -> ExitCode {
    let environment = Environment::of_process();
    let read = config::read(&args.config, &environment);
    let resolved = read.and_then(|sources| {
        let config = config::resolve(&sources, &args.config, &environment, &[])?;
        Ok((sources, config))
    });
    let (sources, mut config) = match resolved {
        Ok(resolved) => resolved,
        Err(problems) => return output::problems(&args.config, &problems),
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}. {}", warning.hint);
    }
    match environment.failpoints() {
        Ok(failpoints) if failpoints.is_empty() => {}
        Ok(failpoints) => {
            tracing::warn!(?failpoints, "this process fails on purpose: it runs under a test");
            config.settings.failpoints = failpoints;
        }
        Err(error) => return output::failure(&error, None),
    }
    if let Some(settings) = &config.traces
        && let Err(error) = traces::begin(settings)
    {
        return output::failure(&error, None);
    }
    let exit = actix_rt::System::new().block_on(async {
        let settings = SettingsFile::new(&args.config, sources, &config);
        let (service, admin) = match start(config, settings.clone()).await {
            Ok(running) => running,
            Err(exit) => return exit,
        };
        output::line(&format!("orgpipe is running; status on {}", admin.url));
        tell(&admin);
        let asked = tokio::select! {
            asked = stop_asked() => asked,
            failed = reload_when_asked(&service, &settings) => failed,
            how = service.failed() => return give_up(&how, service, admin).await,
            error = service.store_failed() => {
                // What was acknowledged is on disk; whoever starts the service anew finds it.
                let exit = output::failure(&error, error.hint().as_deref());
                return if let StoreError::Gone { .. } = error { ExitCode::from(STORE_GONE) } else { exit };
            }
        };
        if let Err(cause) = asked {
            return output::failure(&cause, Some("Signals cannot be watched on this machine."));
        }
        match drain(service, admin).await {
            Ok(_) => ExitCode::SUCCESS,
            Err(exit) => exit,
        }
    });
    traces::end();
    exit
}

/// Starts service and admin API; a failure is printed and comes back as the exit code.
pub(super) async fn start(config: Config, settings: SettingsFile) -> Result<(Service, Admin), ExitCode> {
    let failed = |error: admin::AdminError| output::failure(&error, error.hint().as_deref());
    let listener = admin::listener(&settings).map_err(failed)?;
    let service = Service::start(config.settings).await.map_err(|error| {
        let hint = error.hint();
        output::failure(&error, hint.as_deref())
    })?;
    let started = match settings.start_stored(&service).await {
        Ok(()) => admin::start(settings, service.clone(), listener)
            .await
            .map_err(|error| output::failure(&error, error.hint().as_deref())),
        Err(error) => Err(output::failure(&error, error.hint().as_deref())),
    };
    match started {
        Ok(admin) => Ok((service, admin)),
        Err(exit) => {
            // Actors and the store's thread end before the runtime does: none of them may ask it for a timer then.
            if let Err(error) = service.drain(DRAIN).await {
                tracing::debug!("the store was not closed: {error}");
            }
            Err(exit)
        }
    }
}

/// Tells the first token, if it was made at this start: nobody can ask for it later.
pub(super) fn tell(admin: &Admin) {
    let Some(FirstToken { secret, file, unwritten }) = &admin.first else { return };
    output::line(&format!("open {}/login?token={}", admin.url, secret.expose_secret()));
    let file = file.display();
    output::line(&match unwritten {
        None => format!(
            "This token is told once. It is also in {file}: give it to commands by `--token-file {file}`."
        ),
        Some(cause) => {
            format!(
                "This token is told once: keep it, as it could not be written to {file}, because {cause}."
            )
        }
    });
}

/// Stops in order. A second signal ends the process at once; nothing is lost by it, as nothing is by a crash.
pub(super) async fn drain(service: Service, admin: Admin) -> Result<Drained, ExitCode> {
    tracing::info!("stopping: steps under way are finished; a second signal stops at once");
    let drained = async {
        let drained = service.drain(DRAIN).await;
        admin.stop().await;
        drained
    };
    let drained = tokio::select! {
        drained = drained => drained,
        _ = stop_asked() => return Err(ExitCode::from(130)),
    };
    match drained {
        Ok(drained) => {
            if !drained.in_time {
                tracing::warn!("not all was finished in {} s; it is done at the next start", DRAIN.as_secs());
            }
            Ok(drained)
        }
        Err(error) => Err(output::failure(&error, error.hint().as_deref())),
    }
}

/// The root of the tree has failed. All that runs has ended with it, as by a crash: so does the process.
async fn give_up(how: &str, service: Service, admin: Admin) -> ExitCode {
    let error = format!("the supervisor {how}; every org has stopped");
    tracing::error!("{error}");
    // What has been committed is safe whether this works or not.
    let _ = drain(service, admin).await;
    output::failure(
        &SupervisorFailed(error),
        Some("Nothing is lost. Start orgpipe again, and report this as a bug."),
    );
    ExitCode::from(A_BUG)
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct SupervisorFailed(String);

/// Reads the settings again on every SIGHUP, for ever.
async fn reload_when_asked(service: &Service, settings: &SettingsFile) -> io::Result<()> {
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    while hangup.recv().await.is_some() {
        reload_and_log(service, settings).await;
    }
    std::future::pending().await
}

/// Waits for SIGINT or SIGTERM.
pub(super) async fn stop_asked() -> io::Result<()> {
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        asked = tokio::signal::ctrl_c() => asked,
        _ = term.recv() => Ok(()),
    }
}
