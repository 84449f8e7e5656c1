//! `orgpipe demo`: three simulated orgs, a look-up API and the service, in one process.
//!
//! Here: what happens in the demo. Not here: how it looks (`view`), the settings (`rehearsal`).

mod view;

use std::{cell::Cell, process::ExitCode, time::Duration};

use orgpipe_actors::{OrgView, Service, clock::Clock};
use orgpipe_simulator::{OrgHandle, Ports, Row, Simulator, VendorHandle};
use rand::Rng as _;
use serde_json::json;

use super::{
    rehearsal,
    run::{drain, start, stop_asked, tell},
};
use crate::{
    admin::Admin,
    cli::DemoArgs,
    config::{self, Environment},
    in_force::SettingsFile,
    output,
};

/// Accounts in each org.
const ACCOUNTS: usize = 40;
/// Of the changes, this share also changes what the look-up API knows; the others end as "unchanged".
const NEWS: f64 = 0.7;
/// How often changes are made; each time as many as are due.
const TICK: Duration = Duration::from_millis(50);
/// How often the table is drawn on a terminal, and a line is printed elsewhere.
const DRAW: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// How long the end waits for what is under way.
const PATIENCE: Duration = Duration::from_secs(15);

/// Runs the demo.
pub(crate) fn run(args: &DemoArgs) -> ExitCode {
    actix_rt::System::new().block_on(demo(args))
}

async fn demo(args: &DemoArgs) -> ExitCode {
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(cause) => return output::failure(&cause, Some("The demo needs a place for temporary files.")),
    };
    let simulator = match rehearsal::simulator(args.orgs, 1.0, Ports::Ephemeral).await {
        Ok(simulator) => simulator,
        Err(error) => return output::failure(&error, None),
    };
    let accounts = populate(&simulator);
    let file = match rehearsal::write_settings(&simulator, folder.path(), args.listen, usize::MAX) {
        Ok(file) => file,
        Err(error) => return output::failure(&error, None),
    };
    let environment = Environment::of_process();
    let read = config::read(&file, &environment);
    let resolved = read.and_then(|sources| {
        let config = config::resolve(&sources, &file, &environment, &[])?;
        Ok((sources, config))
    });
    let (sources, config) = match resolved {
        Ok(resolved) => resolved,
        Err(problems) => return output::problems(&file, &problems),
    };
    let settings = SettingsFile::new(&file, sources, &config);
    let (service, admin) = match start(config, settings).await {
        Ok(running) => running,
        Err(exit) => return exit,
    };
    output::line(&format!(
        "{} simulated orgs, {} changes a second; status on {}; Ctrl-C ends it",
        args.orgs, args.events_per_second, admin.url
    ));
    tell(&admin);
    let made = Cell::new(0);
    let changes = change(&simulator, &accounts, args.events_per_second, &made);
    let clock = Clock::start();
    tokio::select! {
        () = changes => {}
        () = show(&service, clock) => {}
        () = until(args.for_secs) => {}
        _ = stop_asked() => {}
    }
    let exit = finish(service, admin, made.get()).await;
    simulator.stop().await;
    exit
}

/// Waits for what is under way, then drains, so that the summary tells the end of every change.
async fn finish(service: Service, admin: Admin, made: u64) -> ExitCode {
    output::line("draining…");
    let clock = Clock::start();
    while !all_ended(&service.orgs().await, made) && clock.monotonic() < PATIENCE {
        actix_rt::time::sleep(Duration::from_millis(100)).await;
    }
    match drain(service, admin).await {
        Ok(drained) => {
            output::line(&view::summary(&drained.orgs));
            ExitCode::SUCCESS
        }
        Err(exit) => exit,
    }
}

/// Whether every change has come in, and nothing of it is still under way.
fn all_ended(orgs: &[OrgView], made: u64) -> bool {
    let records = || orgs.iter().filter_map(|org| org.records);
    let come: u64 = records().map(|records| records.records_in).sum();
    come >= made && records().all(|records| records.open == 0)
}

/// An account of the demo: its org, its record ID and its domain.
struct Account {
    org: OrgHandle,
    id: String,
    domain: String,
}

fn populate(simulator: &Simulator) -> Vec<Account> {
    let mut accounts = Vec::new();
    for org in simulator.orgs() {
        for n in 0..ACCOUNTS {
            let domain = format!("company{n}.{}.example", org.name());
            let row = Row::from_iter([
                ("Name".to_owned(), json!(format!("Company {n}"))),
                ("Website".to_owned(), json!(domain)),
            ]);
            if let Ok(id) = org.create("Account", row) {
                accounts.push(Account { org: org.clone(), id, domain });
            }
        }
    }
    accounts
}

/// Changes accounts for ever, evenly, and counts them.
async fn change(simulator: &Simulator, accounts: &[Account], per_second: f64, made: &Cell<u64>) {
    let mut ticks = actix_rt::time::interval(TICK);
    let mut due = 0.0;
    loop {
        ticks.tick().await;
        due += per_second * TICK.as_secs_f64();
        while due >= 1.0 && !accounts.is_empty() {
            due -= 1.0;
            made.set(made.get() + 1);
            let mut dice = rand::rng();
            let account = &accounts[dice.random_range(0..accounts.len())];
            touch(account, simulator.vendor(), dice.random_bool(NEWS), made.get());
        }
    }
}

fn touch(account: &Account, vendor: &VendorHandle, news: bool, count: u64) {
    if news {
        vendor.bump(&account.domain);
    }
    let row = Row::from_iter([("Name".to_owned(), json!(format!("Company, {count}. change")))]);
    if let Err(error) = account.org.update("Account", &account.id, row) {
        tracing::warn!("the demo could not change an account: {error}");
    }
}

async fn show(service: &Service, clock: Clock) {
    let terminal = output::is_terminal();
    loop {
        actix_rt::time::sleep(if terminal { DRAW.0 } else { DRAW.1 }).await;
        let orgs = service.orgs().await;
        if terminal {
            output::redraw(&view::table(&orgs));
        } else {
            output::line(&view::line(clock.monotonic(), &orgs));
        }
    }
}

async fn until(secs: Option<u64>) {
    match secs {
        Some(secs) => actix_rt::time::sleep(Duration::from_secs(secs)).await,
        None => std::future::pending().await,
    }
}
