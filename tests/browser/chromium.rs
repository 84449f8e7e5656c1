//! A browser that a test drives: Debian's chromium behind its chromedriver, without a window, with a profile of its own.
//!
//! Here: starting it, finding, clicking and typing. Not here: pictures and judgements of what it shows (`look`), which pages it
//! opens (the tests).

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{
    support::eventually,
    webdriver::{Answer, Element, WebDriver},
};

/// A name of somebody else that leads to this machine, as after DNS rebinding.
pub(crate) const FOREIGN_HOST: &str = "evil.example";
/// How long a page may take to come, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);
/// How long a page may work on what a test gave it.
const SCRIPT: Duration = Duration::from_mins(1);

pub(crate) struct Browser {
    /// Dropped first: it ends the browser, and the browser uses the others.
    pub(crate) driver: WebDriver,
    profile: TempDir,
    _chromedriver: Child,
}

impl Browser {
    /// Starts one that knows nobody.
    pub(crate) async fn start() -> Self {
        let (chromedriver, address) = chromedriver().await;
        let profile = tempfile::tempdir().expect("a folder");
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            "--no-first-run".to_owned(),
            "--no-proxy-server".to_owned(),
            format!("--host-resolver-rules=MAP {FOREIGN_HOST} 127.0.0.1"),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        if rustix::process::getuid().is_root() {
            // Chromium's sandbox cannot be set up by root.
            arguments.push("--no-sandbox".to_owned());
        }
        let driver = WebDriver::new(&address, json!({ "args": arguments })).await;
        let driver = driver.unwrap_or_else(|cause| missing("chromium", &cause));
        driver.set_script_timeout(SCRIPT).await.expect("a timeout");
        Self { driver, profile, _chromedriver: chromedriver }
    }

    pub(crate) async fn open(&self, url: &str) {
        self.driver.goto(url).await.unwrap_or_else(|cause| panic!("{url}: {cause}"));
    }

    /// The element of this selector, when it comes.
    pub(crate) async fn element(&self, css: &str) -> Element<'_> {
        let mut found = None;
        let came = in_time(async || {
            found = self.driver.find(css).await.ok();
            found.is_some()
        });
        assert!(came.await, "no {css} on {}", self.shown().await);
        found.expect("it came")
    }

    /// Whether the page has it.
    pub(crate) async fn has(&self, css: &str) -> bool {
        self.driver.find(css).await.is_ok()
    }

    pub(crate) async fn click(&self, css: &str) {
        let element = self.element(css).await;
        // The head of the page stays where it is, and may hide what is at the edge.
        let script = "document.querySelector(arguments[0])?.scrollIntoView({ block: 'center' })";
        self.driver.execute(script, vec![json!(css)]).await.expect("a script");
        element.click().await.unwrap_or_else(|cause| panic!("{css}: {cause}"));
    }

    /// Types into a field, in place of what is there.
    pub(crate) async fn write(&self, css: &str, text: &str) {
        let field = self.element(css).await;
        field.clear().await.expect("a field");
        field.send_keys(text).await.expect("a field");
    }

    /// Waits until the page says this.
    pub(crate) async fn says(&self, part: &str) -> String {
        let mut last = String::new();
        let came = in_time(async || {
            last = self.text().await.unwrap_or_default();
            last.contains(part)
        });
        assert!(came.await, "no page says {part:?}, but {}", self.shown().await);
        last
    }

    async fn text(&self) -> Answer<String> {
        self.driver.find("body").await?.text().await
    }

    /// Where it is, and what stands there.
    async fn shown(&self) -> String {
        let url = self.driver.current_url().await.map(|url| url.to_string()).unwrap_or_default();
        format!("{url}:\n{}", self.text().await.unwrap_or_default())
    }

    /// What a script in the page returns. The page's own policy does not keep it from running.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.expect("a script")
    }

    /// Sends a form from the page as its own one would be, and waits for what comes.
    pub(crate) async fn submit(&self, action: &str) {
        let script = "const form = document.createElement('form'); form.method = 'post'; form.action = arguments[0]; \
                      document.body.append(form); form.submit();";
        self.driver.execute(script, vec![json!(action)]).await.expect("a script");
        let path = action.split('?').next().unwrap_or_default();
        eventually("the answer to a form", async || {
            // A dashboard that reloads itself may have been faster than the form.
            let url = self.driver.current_url().await.ok()?;
            (url.path() == path || url.path() == "/").then_some(())
        })
        .await;
    }

    pub(crate) async fn cdp(&self, method: &str, parameters: Value) {
        self.driver.cdp(method, parameters).await.expect("a command of the browser");
    }

    /// Ends it. One that is dropped ends as well, but takes its time.
    pub(crate) async fn quit(self) {
        self.driver.quit().await.expect("an end");
    }
}

impl Drop for Browser {
    /// A test that fails ends chromedriver, and that leaves its browser behind. No other process has this profile.
    fn drop(&mut self) {
        let profile = self.profile.path().display().to_string();
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        for process in processes {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let number = process.file_name().to_str().and_then(|name| name.parse().ok());
            if String::from_utf8_lossy(&command).contains(&profile)
                && let Some(process) = number.and_then(rustix::process::Pid::from_raw)
            {
                // It may have ended meanwhile.
                let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
            }
        }
    }
}

/// Whether it becomes true in time.
pub(crate) async fn in_time(mut condition: impl AsyncFnMut() -> bool) -> bool {
    let becomes = async {
        while !condition().await {
            actix_rt::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, becomes).await.is_ok()
}

/// Starts a chromedriver on a port that is free; gives its address.
async fn chromedriver() -> (Child, String) {
    let mut command = Command::new("chromedriver");
    command.args(["--port=0", "--log-level=SEVERE"]).stdout(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn();
    let mut child = child.unwrap_or_else(|cause| missing("chromedriver", &cause.to_string()));
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    while let Some(line) = lines.next_line().await.expect("readable") {
        if let Some((_, port)) = line.rsplit_once(" successfully on port ") {
            let address = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
            // What it says later is read, so that it never waits for that.
            actix_rt::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (child, address);
        }
    }
    missing("chromedriver", "it ended before it said on which port it listens")
}

fn missing(program: &str, cause: &str) -> ! {
    panic!(
        "\n\n{program} did not start: {cause}\n\
         The tests in tests/browser need a browser. Install Debian's: `apt-get install chromium chromium-driver`; \
         `cargo xtask test` does it by itself.\n"
    )
}
