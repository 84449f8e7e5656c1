//! How a page looks: pictures of it for people, and what can be judged without them.
//!
//! Here: windows, themes, pictures under `target/screenshots`, axe-core's judgement, the browser's console, a network that is
//! gone. Not here: what should stand on a page (the tests).
//!
//! `cargo xtask test` installs axe-core from npm. Without it pages are not judged by it, except in CI, where that fails.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::chromium::Browser;

/// The windows in which pages are looked at: a phone's, a laptop's and that of a wide screen.
const WINDOWS: [(u32, u32, bool); 3] = [(390, 844, true), (1_440, 900, false), (2_560, 1_300, false)];
const THEMES: [&str; 2] = ["light", "dark"];
/// What pages are held to: WCAG 2.2 AA, and what axe-core holds for good practice.
const AXE_TAGS: [&str; 6] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

impl Browser {
    /// Takes pictures of the page in all windows and both themes; fails if it is wider than a window, or if somebody could
    /// not use it.
    pub(crate) async fn look(&self, name: &str) {
        for theme in THEMES {
            self.prefer(theme).await;
            for (width, height, mobile) in WINDOWS {
                self.window(width, height, mobile).await;
                let picture = self.driver.screenshot().await.expect("a picture");
                let path = screenshots().join(format!("{name}-{theme}-{width}x{height}.png"));
                std::fs::write(path, picture).expect("written");
                self.fits(name, width).await;
                // Salesforce's own pages are not ours to mend.
                if width < 2_000 && self.has("link[href^='/assets/']").await {
                    self.is_accessible(&format!("{name} ({theme}, {width} px)")).await;
                }
            }
        }
        self.prefer("").await;
        self.cdp("Emulation.clearDeviceMetricsOverride", json!({})).await;
    }

    /// Takes one picture of all of the page, however long it is.
    pub(crate) async fn picture(&self, name: &str) {
        let shot = self.driver.cdp("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        let shot = shot.expect("a picture");
        let picture = STANDARD.decode(shot["data"].as_str().unwrap_or_default());
        std::fs::write(screenshots().join(format!("{name}.png")), picture.expect("a picture"))
            .expect("written");
    }

    /// The page is not wider than this window of `width` pixels.
    pub(crate) async fn fits(&self, name: &str, width: u32) {
        let wide = self.run("return document.documentElement.scrollWidth").await;
        assert!(wide.as_u64() <= Some(width.into()), "{name} is {wide} px wide in a window of {width} px");
    }

    /// A window of that size.
    pub(crate) async fn window(&self, width: u32, height: u32, mobile: bool) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// The system's theme; empty: whatever it is. Nothing moves, so that pictures are of what stays.
    pub(crate) async fn prefer(&self, theme: &str) {
        let motion = if theme.is_empty() { "" } else { "reduce" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": theme },
            { "name": "prefers-reduced-motion", "value": motion },
        ]);
        self.cdp("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Whether there is a network between the browser and the service.
    pub(crate) async fn online(&self, is: bool) {
        let conditions =
            json!({ "offline": !is, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.cdp("Network.enable", json!({})).await;
        self.cdp("Network.emulateNetworkConditions", conditions).await;
    }

    /// axe-core finds nothing that keeps somebody from using the page.
    pub(crate) async fn is_accessible(&self, what: &str) {
        let Some(axe) = axe() else { return };
        if self.run("return typeof axe === 'undefined'").await == json!(true) {
            self.driver.execute(&axe, Vec::new()).await.expect("axe-core");
        }
        let script = "const [tags, done] = arguments; \
                      axe.run(document, { runOnly: tags, resultTypes: ['violations'] }).then( \
                        (found) => done(found.violations.map((one) => ({ rule: one.id, help: one.help, \
                          nodes: one.nodes.slice(0, 5).map((node) => [node.html.slice(0, 300), node.failureSummary]) }))), \
                        (error) => done([String(error)]))";
        let found = self.driver.execute_async(script, vec![json!(AXE_TAGS)]).await.expect("a judgement");
        assert_eq!(found, json!([]), "{what}: {found:#}");
    }

    /// The browser has said nothing on its console since the last time, but for lines that have one of these texts.
    pub(crate) async fn is_quiet(&self, but_for: &[&str]) {
        let lines = self.driver.console().await.expect("a console");
        let bad = lines.into_iter().filter(|(level, text)| {
            ["SEVERE", "WARNING"].contains(&level.as_str()) && !but_for.iter().any(|part| text.contains(part))
        });
        let bad: Vec<(String, String)> = bad.collect();
        assert!(bad.is_empty(), "the browser's console: {bad:#?}");
    }

    /// What the page has for this selector, as text; one for each element.
    pub(crate) async fn texts(&self, css: &str) -> Vec<String> {
        let script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText.trim())";
        let found = self.driver.execute(script, vec![json!(css)]).await.expect("a script");
        let texts = found.as_array().into_iter().flatten();
        texts.map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// axe-core's script, if it is installed.
#[expect(clippy::disallowed_methods, reason = "a test asks the environment whether this is CI")]
fn axe() -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/node_modules/axe-core/axe.min.js");
    let script = std::fs::read_to_string(path).ok();
    assert!(
        script.is_some() || std::env::var_os("CI").is_none(),
        "run `cargo xtask test` once, which installs axe-core"
    );
    script
}

/// Where the pictures are: `screenshots` in cargo's target folder.
fn screenshots() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder");
    let folder = target.join("screenshots");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}
