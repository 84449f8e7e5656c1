//! As much of WebDriver (W3C, "WebDriver", level 2) as these tests speak with chromedriver, over plain HTTP.
//!
//! Here: one function per command. Not here: starting a browser (`chromium`). The crates that there are for it either turn
//! on a feature of `serde_json` for the whole workspace, which orders maps otherwise than in the program that is shipped, or
//! have a licence that we do not take.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use url::Url;

/// The key under which an element's name stands.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// A page's own timeouts are shorter.
const ANSWER: Duration = Duration::from_mins(3);

/// What a command gives, or what the browser says of it.
pub(crate) type Answer<T> = Result<T, String>;

/// A browser's session.
pub(crate) struct WebDriver {
    http: Client,
    session: String,
}

/// An element of the page.
pub(crate) struct Element<'d> {
    driver: &'d WebDriver,
    name: String,
}

impl WebDriver {
    /// Starts a browser with these options of chromium's.
    pub(crate) async fn new(address: &str, options: Value) -> Answer<Self> {
        let http = Client::builder().no_proxy().timeout(ANSWER).build().map_err(|cause| cause.to_string())?;
        let starting = Self { http, session: format!("{address}/session") };
        let logged = json!({ "browser": "ALL" });
        let always = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": logged });
        let wanted = json!({ "capabilities": { "alwaysMatch": always } });
        let begun = starting.command(Method::POST, "", wanted).await?;
        let id = begun["sessionId"].as_str().ok_or("there is no session")?;
        Ok(Self { session: format!("{}/{id}", starting.session), http: starting.http })
    }

    async fn command(&self, method: Method, path: &str, body: Value) -> Answer<Value> {
        let request = self.http.request(method.clone(), format!("{}{path}", self.session));
        let request = if method == Method::POST { request.json(&body) } else { request };
        let reply = request.send().await.map_err(|cause| cause.to_string())?;
        let done = reply.status().is_success();
        let mut answer: Value = reply.json().await.map_err(|cause| cause.to_string())?;
        let value = answer["value"].take();
        if done { Ok(value) } else { Err(format!("{}: {}", value["error"], value["message"])) }
    }

    async fn post(&self, path: &str, body: Value) -> Answer<Value> {
        self.command(Method::POST, path, body).await
    }

    async fn get(&self, path: &str) -> Answer<Value> {
        self.command(Method::GET, path, Value::Null).await
    }

    /// How long a script that ends by itself may take.
    pub(crate) async fn set_script_timeout(&self, lasts: Duration) -> Answer<()> {
        self.post("/timeouts", json!({ "script": lasts.as_millis() })).await.map(drop)
    }

    pub(crate) async fn goto(&self, url: &str) -> Answer<()> {
        self.post("/url", json!({ "url": url })).await.map(drop)
    }

    pub(crate) async fn refresh(&self) -> Answer<()> {
        self.post("/refresh", json!({})).await.map(drop)
    }

    pub(crate) async fn current_url(&self) -> Answer<Url> {
        let url = self.get("/url").await?;
        Url::parse(url.as_str().unwrap_or_default()).map_err(|cause| cause.to_string())
    }

    pub(crate) async fn source(&self) -> Answer<String> {
        Ok(self.get("/source").await?.as_str().unwrap_or_default().to_owned())
    }

    /// The first element of this selector.
    pub(crate) async fn find(&self, css: &str) -> Answer<Element<'_>> {
        let found = self.post("/element", json!({ "using": "css selector", "value": css })).await?;
        let name = found[ELEMENT].as_str().ok_or("there is no element")?.to_owned();
        Ok(Element { driver: self, name })
    }

    /// What a script returns.
    pub(crate) async fn execute(&self, script: &str, arguments: Vec<Value>) -> Answer<Value> {
        self.post("/execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// What a script gives to its last argument, a function.
    pub(crate) async fn execute_async(&self, script: &str, arguments: Vec<Value>) -> Answer<Value> {
        self.post("/execute/async", json!({ "script": script, "args": arguments })).await
    }

    /// Names and values of the page's cookies.
    pub(crate) async fn cookies(&self) -> Answer<Vec<(String, String)>> {
        let cookies = self.get("/cookie").await?;
        let text = |cookie: &Value, key: &str| cookie[key].as_str().unwrap_or_default().to_owned();
        let pairs = cookies.as_array().into_iter().flatten();
        Ok(pairs.map(|cookie| (text(cookie, "name"), text(cookie, "value"))).collect())
    }

    pub(crate) async fn add_cookie(&self, name: &str, value: &str) -> Answer<()> {
        self.post("/cookie", json!({ "cookie": { "name": name, "value": value } })).await.map(drop)
    }

    /// Into a frame of the page, counted from 0, or out of all of them.
    pub(crate) async fn enter_frame(&self, frame: Option<u16>) -> Answer<()> {
        self.post("/frame", json!({ "id": frame })).await.map(drop)
    }

    /// A picture of what is shown, as PNG.
    pub(crate) async fn screenshot(&self) -> Answer<Vec<u8>> {
        let picture = self.get("/screenshot").await?;
        STANDARD.decode(picture.as_str().unwrap_or_default()).map_err(|cause| cause.to_string())
    }

    /// A command of chromium's own (Chrome DevTools Protocol).
    pub(crate) async fn cdp(&self, method: &str, parameters: Value) -> Answer<Value> {
        self.post("/goog/cdp/execute", json!({ "cmd": method, "params": parameters })).await
    }

    /// What the browser has said on its console since the last time: level and text.
    pub(crate) async fn console(&self) -> Answer<Vec<(String, String)>> {
        let lines = self.post("/se/log", json!({ "type": "browser" })).await?;
        let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let lines = lines.as_array().into_iter().flatten();
        Ok(lines.map(|line| (text(line, "level"), text(line, "message"))).collect())
    }

    /// Types into whatever has the focus.
    pub(crate) async fn type_keys(&self, text: &str) -> Answer<()> {
        let found = self.get("/element/active").await?;
        let name = found[ELEMENT].as_str().ok_or("nothing has the focus")?.to_owned();
        Element { driver: self, name }.send_keys(text).await
    }

    /// Ends the browser.
    pub(crate) async fn quit(&self) -> Answer<()> {
        self.command(Method::DELETE, "", Value::Null).await.map(drop)
    }
}

impl Element<'_> {
    async fn command(&self, command: &str, body: Value) -> Answer<()> {
        self.driver.post(&format!("/element/{}/{command}", self.name), body).await.map(drop)
    }

    pub(crate) async fn click(&self) -> Answer<()> {
        self.command("click", json!({})).await
    }

    pub(crate) async fn clear(&self) -> Answer<()> {
        self.command("clear", json!({})).await
    }

    pub(crate) async fn send_keys(&self, text: &str) -> Answer<()> {
        self.command("value", json!({ "text": text })).await
    }

    pub(crate) async fn text(&self) -> Answer<String> {
        let text = self.driver.get(&format!("/element/{}/text", self.name)).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }
}
