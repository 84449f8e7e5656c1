//! The paths that customers' browsers come to. They need no token: the link is what lets one in.
//!
//! Here: forms, cookies, and how often anybody may come. Not here: what follows (`onboarding`), looks (`pages`).

use std::{fmt, num::NonZeroU32, time::Duration};

use actix_web::{
    Error, HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite},
    http::{StatusCode, header},
    web::{Data, Form, Path},
};
use governor::{
    Quota, RateLimiter,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use orgpipe_actors::clock::Clock;
use orgpipe_salesforce::oauth::web_server::{NoCallback, callback};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{
    onboarding::{ConnectError, Onboarding},
    pages::{Pages, html},
};

/// The cookie by which a consent is ended in the browser that it was begun in.
const COOKIE: &str = "orgpipe_connect";
/// Only the callback reads it.
const COOKIE_PATH: &str = "/oauth/callback";
const COOKIE_LIFE: Duration = Duration::from_mins(30);
/// Characters of its value: 32 bytes in Base64.
const COOKIE_CHARS: usize = 43;
/// Requests that are answered at once, and each second after that, from everybody together: a customer's admin makes five.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
const PER_SECOND: NonZeroU32 = NonZeroU32::new(20).expect("not zero");

type DoorLimiter = RateLimiter<NotKeyed, InMemoryState, Clock, NoOpMiddleware<Duration>>;

/// What the handlers work with: nothing where no customer can connect.
pub(crate) struct Door {
    onboarding: Option<Onboarding>,
    limiter: DoorLimiter,
    clock: Clock,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("open", &self.onboarding.is_some()).finish_non_exhaustive()
    }
}

impl Door {
    /// Open if there is an onboarding.
    pub(crate) fn new(onboarding: Option<Onboarding>, clock: Clock) -> Self {
        let quota = Quota::per_second(PER_SECOND).allow_burst(AT_ONCE);
        Self { onboarding, limiter: RateLimiter::direct_with_clock(quota, clock), clock }
    }

    /// What orgs are invited by, if they can be.
    pub(crate) fn onboarding(&self) -> Option<&Onboarding> {
        self.onboarding.as_ref()
    }

    /// 32 bytes of chance.
    pub(crate) fn chance<const N: usize>(&self) -> [u8; N] {
        self.clock.random_bytes()
    }

    fn enter(&self) -> Result<&Onboarding, Closed> {
        if self.limiter.check().is_err() {
            return Err(Closed::TooMany);
        }
        self.onboarding.as_ref().ok_or(Closed::Nothing)
    }
}

/// Why a request is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    /// Too many come.
    TooMany,
    /// No customer can connect here.
    Nothing,
}

impl Closed {
    fn answer(self) -> HttpResponse {
        match self {
            Self::TooMany => HttpResponse::TooManyRequests()
                .insert_header((header::RETRY_AFTER, "5"))
                .body("Too many requests at the moment. Please try again in some seconds.\n"),
            Self::Nothing => HttpResponse::NotFound().body("There is nothing here.\n"),
        }
    }
}

/// `kind=production|sandbox|domain&domain=ADDRESS`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    domain: String,
}

impl Choice {
    /// The host that was chosen, as it was typed.
    fn host(&self) -> &str {
        match self.kind.as_str() {
            "sandbox" => "test.salesforce.com",
            "domain" => &self.domain,
            _ => "login.salesforce.com",
        }
    }
}

/// Shows where a link leads.
pub(crate) async fn show(door: Data<Door>, link: Path<String>) -> HttpResponse {
    let onboarding = match door.enter() {
        Ok(onboarding) => onboarding,
        Err(closed) => return closed.answer(),
    };
    let action = format!("/connect/{link}");
    match onboarding.open(&link).await {
        Ok(invited) => pages(onboarding, &action).start(&invited, None),
        Err(error) => failed(onboarding, &action, &error),
    }
}

/// Begins a consent.
pub(crate) async fn begin(
    door: Data<Door>,
    link: Path<String>,
    request: HttpRequest,
    choice: Result<Form<Choice>, Error>,
) -> HttpResponse {
    let onboarding = match door.enter() {
        Ok(onboarding) => onboarding,
        Err(closed) => return closed.answer(),
    };
    let Ok(choice) = choice else {
        return HttpResponse::BadRequest()
            .body("This form cannot be read. Please open the link once more.\n");
    };
    let action = format!("/connect/{link}");
    // One browser may connect several orgs at a time.
    let browser = shown(&request).map_or_else(|| door.clock.random_text(), SecretString::from);
    let chance = (door.chance(), door.chance(), browser);
    match onboarding.begin(&link, choice.host(), chance).await {
        Ok((page, browser)) => {
            let (status, page) = pages(onboarding, &action).going(page.as_str());
            let cookie = cookie(&browser, onboarding.settings.base_url.scheme() == "https");
            html(HttpResponse::build(status).cookie(cookie), page)
        }
        Err(error @ ConnectError::Host(_)) => match onboarding.open(&link).await {
            Ok(invited) => pages(onboarding, &action).start(&invited, Some(&error)),
            Err(error) => failed(onboarding, &action, &error),
        },
        Err(error) => failed(onboarding, &action, &error),
    }
}

/// Looks once more what a connected org lacks.
pub(crate) async fn check(door: Data<Door>, link: Path<String>) -> HttpResponse {
    let onboarding = match door.enter() {
        Ok(onboarding) => onboarding,
        Err(closed) => return closed.answer(),
    };
    let action = format!("/connect/{link}");
    match onboarding.look_again(&link).await {
        Ok(done) => pages(onboarding, &action).done(&done),
        Err(error) => failed(onboarding, &action, &error),
    }
}

/// Takes what Salesforce sends a browser back with.
pub(crate) async fn answer(door: Data<Door>, request: HttpRequest) -> HttpResponse {
    let onboarding = match door.enter() {
        Ok(onboarding) => onboarding,
        Err(closed) => return closed.answer(),
    };
    let callback = match callback(request.query_string()) {
        Ok(callback) => callback,
        Err(error) => return no_callback(error),
    };
    let (link, outcome) = onboarding.finish(callback, shown(&request).as_deref()).await;
    let action = link.map(|link| format!("/connect/{link}")).unwrap_or_default();
    match outcome {
        Ok(done) => pages(onboarding, &action).done(&done),
        Err(error) => failed(onboarding, &action, &error),
    }
}

fn pages<'p>(onboarding: &'p Onboarding, action: &'p str) -> Pages<'p> {
    Pages { vendor: &onboarding.settings.vendor, action }
}

fn failed(onboarding: &Onboarding, action: &str, error: &ConnectError) -> HttpResponse {
    match error {
        ConnectError::Store(_) | ConnectError::Record(_) | ConnectError::NotStarted(_) => {
            tracing::error!("an org was not connected: {error}");
        }
        _ => tracing::info!("an org was not connected: {error}"),
    }
    pages(onboarding, action).failed(error)
}

fn no_callback(error: NoCallback) -> HttpResponse {
    let text = format!("This address is no answer of Salesforce's: {error}.\n");
    HttpResponse::build(StatusCode::BAD_REQUEST).body(text)
}

/// The cookie that the browser brings, if it can be one of ours.
fn shown(request: &HttpRequest) -> Option<String> {
    let value = request.cookie(COOKIE)?.value().to_owned();
    let is_ours = value.len() == COOKIE_CHARS
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_ours.then_some(value)
}

/// Salesforce's page leads back from another site, and a strict cookie would not come along.
fn cookie(value: &SecretString, secure: bool) -> Cookie<'static> {
    let life = i64::try_from(COOKIE_LIFE.as_secs()).unwrap_or(i64::MAX);
    Cookie::build(COOKIE, value.expose_secret().to_owned())
        .path(COOKIE_PATH)
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(secure)
        .max_age(actix_web::cookie::time::Duration::seconds(life))
        .finish()
}
