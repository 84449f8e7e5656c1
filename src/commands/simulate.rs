//! `orgpipe simulate`: Salesforce orgs and a look-up API on loopback, with settings that fit them.

use std::{net::SocketAddr, path::Path, process::ExitCode};

use orgpipe_simulator::{Ports, Simulator};

use super::{rehearsal, run::stop_asked};
use crate::{cli::SimulateArgs, output};

/// Where the settings tell orgpipe to listen.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8787);

/// Runs the simulator until it is asked to stop.
pub(crate) fn run(args: &SimulateArgs) -> ExitCode {
    actix_rt::System::new().block_on(async {
        let ports = if args.port == 0 { Ports::Ephemeral } else { Ports::From(args.port) };
        let started = rehearsal::simulator(args.orgs, args.time_scale, ports).await;
        let simulator = match started {
            Ok(simulator) => simulator,
            Err(error) => return output::failure(&error, Some("Give another `--port`, or 0 for free ones.")),
        };
        let connected = usize::from(args.orgs.saturating_sub(args.unconnected));
        match rehearsal::write_settings(&simulator, &args.dir, LISTEN, connected) {
            Ok(file) => describe(&simulator, &file.display().to_string(), connected),
            Err(error) => {
                return output::failure(
                    &error,
                    Some("Give another folder with `--dir`; settings of your own are never written over."),
                );
            }
        }
        let asked = stop_asked().await;
        simulator.stop().await;
        match asked {
            Ok(()) => ExitCode::SUCCESS,
            Err(cause) => output::failure(&cause, None),
        }
    })
}

fn describe(simulator: &Simulator, settings: &str, connected: usize) {
    output::line(&format!("control API  {}", simulator.control_url()));
    output::line(&format!("look-up API  {}", simulator.vendor().url()));
    for org in simulator.orgs() {
        output::line(&format!("org {}  {}  as {}", org.name(), org.base_url(), org.username()));
    }
    output::line(&format!("try it: orgpipe run --config {settings}"));
    for org in simulator.orgs().iter().skip(connected) {
        output::line(&format!(
            "then connect {}: orgpipe orgs invite {} --login-url {} --token-file {} (its password is {})",
            org.name(),
            org.name(),
            org.base_url(),
            Path::new(settings).with_file_name("data.token").display(),
            org.password()
        ));
    }
}
