//! The page of all orgs with 5,000 of them, and a scrape of their metrics: how soon it comes, how large it is, and what one view
//! costs the server.
//!
//! `cargo bench --bench dashboard` starts the real program with 5,000 orgs in its settings and pauses them; `-- 500` fewer. The
//! processor's time of a view is what the program took while pages were asked for, less what it takes while nobody asks.
#![expect(clippy::print_stdout, reason = "a benchmark talks to the terminal")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use orgpipe_simulator::OrgOptions;
use support::Rig;

/// Orgs, unless the command says otherwise.
const ORGS: usize = 5_000;
/// Views, so far apart that each makes a snapshot of its own.
const VIEWS: u32 = 30;
const APART: Duration = Duration::from_millis(1_100);
/// What is wanted of each view.
const FIRST_BYTE_MAX: Duration = Duration::from_millis(100);
const BYTES_MAX: usize = 300_000;
const CPU_MAX: Duration = Duration::from_millis(30);

/// What the page is asked for: as it is opened, and with what makes most work.
const PAGES: [&str; 3] = ["/", "/?q=customer&sort=lag&order=asc&page=40", "/?state=paused&sort=event"];

#[actix_rt::main]
async fn main() {
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let orgs: usize = asked.unwrap_or(ORGS);
    let acme = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![acme], |text| {
        let mut text = text.replace("[source]", "metrics = { orgs_max = 100000 }\n\n[source]");
        for n in 0..orgs {
            let org = format!(
                "\n[[org]]\nid = \"customer-{n:04}\"\nlogin_url = \"http://127.0.0.1:1\"\n\
                 auth = {{ flow = \"jwt\", client_id = \"app\", username = \"u@{n}.example\", key_file = \"jwt.key\" }}\n"
            );
            text.push_str(&org);
        }
        text
    })
    .await;
    let began = Instant::now();
    rig.start_logged("error").await;
    println!("{orgs} orgs: started in {:.1} s", began.elapsed().as_secs_f64());
    for n in 0..orgs {
        rig.order(&format!("customer-{n:04}"), "pause").await;
    }
    rig.subscribed("acme").await;
    actix_rt::time::sleep(Duration::from_secs(5)).await;
    for page in PAGES {
        measure(&rig, page).await;
    }
    // Beside the page there is no bound for it: what it tells of each org grows with them.
    measure(&rig, "/metrics").await;
}

async fn measure(rig: &Rig, page: &str) {
    let url = format!("{}{page}", rig.admin);
    let (mut slowest, mut bytes) = (Duration::ZERO, 0);
    let idle = cpu(rig);
    actix_rt::time::sleep(APART * VIEWS).await;
    let idle = cpu(rig).checked_sub(idle).unwrap();
    let busy = cpu(rig);
    for _ in 0..VIEWS {
        let began = Instant::now();
        let reply = rig.http.get(&url).header("Accept", "text/html").send().await.expect("a page");
        slowest = slowest.max(began.elapsed());
        assert_eq!(reply.status(), 200);
        bytes = reply.bytes().await.expect("a page").len();
        actix_rt::time::sleep(APART.saturating_sub(began.elapsed())).await;
    }
    let each = cpu(rig).checked_sub(busy).unwrap().saturating_sub(idle) / VIEWS;
    let verdict = |fits: bool| if fits { "" } else { " (too much)" };
    println!(
        "{page}: first byte after at most {slowest:.0?}{}, {bytes} bytes{}, {each:.1?} of a processor for a view{}",
        verdict(slowest < FIRST_BYTE_MAX),
        verdict(bytes < BYTES_MAX),
        verdict(each < CPU_MAX),
    );
}

/// The processor's time that the service has taken so far.
fn cpu(rig: &Rig) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", rig.process_id())).expect("Linux");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks: u64 = fields[11..=12].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
    // A hundred in a second on every Linux that there is.
    Duration::from_millis(ticks * 10)
}
