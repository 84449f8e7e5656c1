//! The paths that customers' browsers come to. They need no token: the link is what lets one in.
//!
//! Here: forms, cookies, and how often anybody may come. Not here: what follows (`onboarding`), looks (`pages`).

use std::{fmt, num::NonZeroU32, time::Duration};

use actix_web::{
    Error, HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite},
    http::header,
    web::{Data, Form, Path},
};
use governor::{
    Quota, RateLimiter,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed, keyed::DefaultKeyedStateStore},
};
use orgpipe_actors::clock::Clock;
use orgpipe_salesforce::oauth::web_server::callback;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    onboarding::{ConnectError, Onboarding},
    pages::{Choice, Pages, html},
};
use crate::config::ConnectSettings;

/// Where there is no page to show.
const TEXT: &str = "text/plain; charset=utf-8";
/// The cookie by which a consent is ended in the browser that it was begun in. Over TLS its name has a prefix that no other
/// host can have set (RFC 6265bis, section 4.1.3.2).
const COOKIE: &str = "orgpipe_connect";
const COOKIE_LIFE: Duration = Duration::from_mins(30);
/// Characters of its value: 32 bytes in Base64.
const COOKIE_CHARS: usize = 43;
/// Requests of one link that are answered at once, and each second after that: a customer's admin makes five.
const OF_LINK: (NonZeroU32, NonZeroU32) =
    (NonZeroU32::new(30).expect("not zero"), NonZeroU32::new(2).expect("not zero"));
/// The same of all that come without a link that is good.
const OF_STRANGERS: (NonZeroU32, NonZeroU32) =
    (NonZeroU32::new(100).expect("not zero"), NonZeroU32::new(20).expect("not zero"));

type LinkLimiter = RateLimiter<String, DefaultKeyedStateStore<String>, Clock, NoOpMiddleware<Duration>>;
type StrangerLimiter = RateLimiter<NotKeyed, InMemoryState, Clock, NoOpMiddleware<Duration>>;

/// What the handlers work with.
pub(crate) struct Door {
    onboarding: Onboarding,
    links: LinkLimiter,
    strangers: StrangerLimiter,
    clock: Clock,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    /// To this onboarding.
    pub(crate) fn new(onboarding: Onboarding, clock: Clock) -> Self {
        let quota = |(at_once, per_second)| Quota::per_second(per_second).allow_burst(at_once);
        let links = RateLimiter::new(quota(OF_LINK), DefaultKeyedStateStore::default(), clock);
        Self {
            onboarding,
            links,
            strangers: RateLimiter::direct_with_clock(quota(OF_STRANGERS), clock),
            clock,
        }
    }

    /// What orgs are invited by.
    pub(crate) fn onboarding(&self) -> &Onboarding {
        &self.onboarding
    }

    /// Bytes of chance.
    pub(crate) fn chance<const N: usize>(&self) -> [u8; N] {
        self.clock.random_bytes()
    }

    /// Looks whether a request is answered that comes with this link, or with none.
    fn enter(&self, link: Option<&str>) -> Result<ConnectSettings, Closed> {
        let org = link.and_then(|link| self.onboarding.signed(link).ok());
        let answered = match &org {
            Some(org) => self.links.check_key(org).is_ok(),
            None => self.strangers.check().is_ok(),
        };
        if !answered {
            return Err(Closed::TooMany);
        }
        self.onboarding.settings().ok_or(Closed::Nothing)
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
                .content_type(TEXT)
                .body("Too many requests at the moment. Please try again in some seconds.\n"),
            Self::Nothing => HttpResponse::NotFound().content_type(TEXT).body("There is nothing here.\n"),
        }
    }
}

/// Where a customer's link leads
#[utoipa::path(
    get,
    path = "/connect/{link}",
    operation_id = "openLink",
    tag = "connect",
    responses(
        (status = 200, description = "The page on which the customer chooses the org.", content_type = "text/html", body = String),
        (status = 404, description = "The link is none, has expired, or was replaced; or no customer can connect here.", content((String = "text/html"), (String = "text/plain"))),
        (
            status = 429,
            description = "Too many requests at the moment.",
            content_type = "text/plain",
            body = String,
            headers(("Retry-After" = u64, description = "Seconds."))
        ),
    )
)]
pub(crate) async fn show(door: Data<Door>, link: Path<String>) -> HttpResponse {
    let settings = match door.enter(Some(&link)) {
        Ok(settings) => settings,
        Err(closed) => return closed.answer(),
    };
    let action = format!("/connect/{link}");
    match door.onboarding.open(&settings, &link).await {
        Ok(invited) => pages(&settings, &action).start(&invited, &Choice::default(), None),
        Err(error) => failed(&settings, &action, &error),
    }
}

/// Go on to Salesforce's page
#[utoipa::path(
    post,
    path = "/connect/{link}",
    operation_id = "beginConsent",
    tag = "connect",
    request_body(content = Choice, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "A page that goes on to Salesforce's, and a cookie for the way back.", content_type = "text/html", body = String),
        (status = 400, description = "The form cannot be read.", content_type = "text/html", body = String),
        (status = 404, description = "The link is none, has expired, or was replaced; or no customer can connect here.", content((String = "text/html"), (String = "text/plain"))),
        (status = 409, description = "Salesforce, or the admin there, said no; or it is another org than the link is for.", content_type = "text/html", body = String),
        (status = 422, description = "The address is none of Salesforce's: the page again.", content_type = "text/html", body = String),
        (
            status = 429,
            description = "Too many requests at the moment.",
            content_type = "text/plain",
            body = String,
            headers(("Retry-After" = u64, description = "Seconds."))
        ),
        (status = 500, description = "Something went wrong on this side.", content_type = "text/html", body = String),
        (status = 503, description = "The org cannot be asked at the moment.", content_type = "text/html", body = String),
    )
)]
pub(crate) async fn begin(
    door: Data<Door>,
    link: Path<String>,
    request: HttpRequest,
    choice: Result<Form<Choice>, Error>,
) -> HttpResponse {
    let settings = match door.enter(Some(&link)) {
        Ok(settings) => settings,
        Err(closed) => return closed.answer(),
    };
    let action = format!("/connect/{link}");
    let Ok(choice) = choice else { return failed(&settings, &action, &ConnectError::Form) };
    // One browser may connect several orgs at a time.
    let browser = shown(&request, &settings).map_or_else(|| door.clock.random_text(), SecretString::from);
    let chance = (door.chance(), door.chance(), browser);
    match door.onboarding.begin(&settings, &link, choice.host(), chance).await {
        Ok((page, browser)) => {
            let (status, page) = pages(&settings, &action).going(page.as_str());
            html(HttpResponse::build(status).cookie(cookie(&browser, &settings)), page)
        }
        Err(error @ ConnectError::Host(_)) => match door.onboarding.open(&settings, &link).await {
            Ok(invited) => pages(&settings, &action).start(&invited, &choice, Some(&error)),
            Err(error) => failed(&settings, &action, &error),
        },
        Err(error) => failed(&settings, &action, &error),
    }
}

/// Look once more what a connected org lacks
#[utoipa::path(
    post,
    path = "/connect/{link}/check",
    operation_id = "lookAgain",
    tag = "connect",
    responses(
        (status = 200, description = "What is missing, if anything is.", content_type = "text/html", body = String),
        (status = 404, description = "The link is none, has expired, or was replaced; or no customer can connect here.", content((String = "text/html"), (String = "text/plain"))),
        (status = 409, description = "Salesforce, or the admin there, said no; or it is another org than the link is for.", content_type = "text/html", body = String),
        (
            status = 429,
            description = "Too many requests at the moment.",
            content_type = "text/plain",
            body = String,
            headers(("Retry-After" = u64, description = "Seconds."))
        ),
        (status = 500, description = "Something went wrong on this side.", content_type = "text/html", body = String),
        (status = 503, description = "The org cannot be asked at the moment.", content_type = "text/html", body = String),
    )
)]
pub(crate) async fn check(door: Data<Door>, link: Path<String>) -> HttpResponse {
    let settings = match door.enter(Some(&link)) {
        Ok(settings) => settings,
        Err(closed) => return closed.answer(),
    };
    let action = format!("/connect/{link}");
    match door.onboarding.look_again(&link).await {
        Ok(done) => pages(&settings, &action).done(&done),
        Err(error) => failed(&settings, &action, &error),
    }
}

/// Where Salesforce sends the customer's browser back to
#[utoipa::path(
    get,
    path = "/oauth/callback",
    operation_id = "callback",
    tag = "connect",
    params(
        ("code" = Option<String>, Query, description = "Of the web server flow."),
        ("state" = Option<String>, Query, description = "As it was asked with."),
        ("error" = Option<String>, Query, description = "Why there is no code."),
        ("error_description" = Option<String>, Query, description = "The same, as a sentence."),
    ),
    responses(
        (status = 200, description = "The org is connected; what is missing, if anything is.", content_type = "text/html", body = String),
        (status = 400, description = "It is no answer of Salesforce's, or belongs to no request of this browser.", content_type = "text/html", body = String),
        (status = 404, description = "The link is none, has expired, or was replaced; or no customer can connect here.", content((String = "text/html"), (String = "text/plain"))),
        (status = 409, description = "Salesforce, or the admin there, said no; or it is another org than the link is for.", content_type = "text/html", body = String),
        (
            status = 429,
            description = "Too many requests at the moment.",
            content_type = "text/plain",
            body = String,
            headers(("Retry-After" = u64, description = "Seconds."))
        ),
        (status = 500, description = "Something went wrong on this side.", content_type = "text/html", body = String),
        (status = 503, description = "The org cannot be asked at the moment.", content_type = "text/html", body = String),
    )
)]
pub(crate) async fn answer(door: Data<Door>, request: HttpRequest) -> HttpResponse {
    let callback = match callback(request.query_string()) {
        Ok(callback) => callback,
        Err(error) => {
            let no_callback = |settings| failed(&settings, "", &error.into());
            return door.enter(None).map_or_else(Closed::answer, no_callback);
        }
    };
    let Some(settings) = door.onboarding.settings() else { return Closed::Nothing.answer() };
    let Some(pending) = door.onboarding.answered(&callback, shown(&request, &settings).as_deref()) else {
        let not_asked = |settings| failed(&settings, "", &ConnectError::NotAsked);
        return door.enter(None).map_or_else(Closed::answer, not_asked);
    };
    let action = format!("/connect/{}", pending.link);
    match door.onboarding.finish(pending, callback).await {
        Ok(done) => pages(&settings, &action).done(&done),
        Err(error) => failed(&settings, &action, &error),
    }
}

fn pages<'p>(settings: &'p ConnectSettings, action: &'p str) -> Pages<'p> {
    Pages { vendor: &settings.vendor, action }
}

fn failed(settings: &ConnectSettings, action: &str, error: &ConnectError) -> HttpResponse {
    match error {
        ConnectError::Store(_)
        | ConnectError::Record(_)
        | ConnectError::Settings(_)
        | ConnectError::NotStarted(_) => tracing::error!("an org was not connected: {error}"),
        _ => tracing::info!("an org was not connected: {error}"),
    }
    pages(settings, action).failed(error)
}

/// Whether browsers reach this service by TLS.
fn is_secure(settings: &ConnectSettings) -> bool {
    settings.base_url.scheme() == "https"
}

fn cookie_name(settings: &ConnectSettings) -> String {
    format!("{}{COOKIE}", if is_secure(settings) { "__Host-" } else { "" })
}

/// The cookie that the browser brings, if it can be one of ours.
fn shown(request: &HttpRequest, settings: &ConnectSettings) -> Option<String> {
    let value = request.cookie(&cookie_name(settings))?.value().to_owned();
    let is_ours = value.len() == COOKIE_CHARS
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_ours.then_some(value)
}

/// Salesforce's page leads back from another site, and a strict cookie would not come along.
fn cookie(value: &SecretString, settings: &ConnectSettings) -> Cookie<'static> {
    let life = i64::try_from(COOKIE_LIFE.as_secs()).unwrap_or(i64::MAX);
    Cookie::build(cookie_name(settings), value.expose_secret().to_owned())
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(is_secure(settings))
        .max_age(actix_web::cookie::time::Duration::seconds(life))
        .finish()
}
