//! The web server flow up to the code: what the app asks for, the user's login and consent, the way back to the app.
//!
//! Here: which page or redirect comes next. Not here: how the pages look (`pages`), the exchange of the code (`token`).
//! Sources: Help "OAuth 2.0 Web Server Flow", "OAuth Authorization Flow Errors", "OAuth Tokens and Scopes"; REST guide
//! "Understanding the Web Server OAuth Authentication Flow"; RFC 7636.

use url::Url;

use super::denied::Denied;
use super::request::TokenRequest;
use super::{admit, pages, token};
use crate::answer::Answer;
use crate::options::{AppStatus, PermittedUsers};
use crate::org::authorizations::Authorization;
use crate::org::facts::{APP_NAME, PASSWORD};
use crate::org::{Org, OrgState};

/// Where the user is asked to let the app in.
pub(crate) const CONSENT_PATH: &str = "/setup/secur/RemoteAccessAuthorizationPage.apexp";
/// The scopes that the vendor has chosen for its app, and how a user reads them.
const SCOPES: [(&str, &str); 7] = [
    ("id", "Access the identity URL service"),
    ("api", "Manage user data via APIs"),
    ("refresh_token", "Perform requests at any time"),
    ("openid", "Access unique user identifiers"),
    ("profile", "Access your basic information"),
    ("email", "Access your email address"),
    ("web", "Manage user data via Web browsers"),
];
/// A SHA-256 hash in base64url without padding has so many characters.
const CHALLENGE_CHARS: usize = 43;
const WRONG_PASSWORD: &str = "Please check your username and password. If you still can't log in, contact your Salesforce administrator.";

/// `GET /services/oauth2/authorize`; `session` is the browser's cookie. What is wrong with the app's name or address is
/// never told to that address.
pub(crate) fn authorize(
    org: &Org,
    state: &mut OrgState,
    request: &TokenRequest,
    session: Option<&str>,
) -> Answer {
    let name = &org.facts.name;
    if request.field("client_id") != Some(&org.facts.client_id) {
        return pages::error(name, "invalid_client_id", "client identifier invalid");
    }
    let redirect_uri = request.field("redirect_uri").unwrap_or_default();
    if !state.logins.policy.redirect_uris.iter().any(|registered| registered == redirect_uri) {
        return pages::error(name, "redirect_uri_mismatch", "redirect_uri must match configuration");
    }
    let prompts: Vec<&str> = request.field("prompt").unwrap_or_default().split(' ').collect();
    let mut asked = Authorization {
        redirect_uri: redirect_uri.to_owned(),
        scope: String::new(),
        state: request.field("state").map(str::to_owned),
        challenge: None,
        login_hint: request.field("login_hint").unwrap_or_default().to_owned(),
        asks_again: prompts.contains(&"consent"),
        immediate: request.field("immediate") == Some("true"),
        session: None,
    };
    match (scope(request), challenge(request, state.logins.policy.pkce_required)) {
        _ if request.field("response_type") != Some("code") => {
            return refuse(org, &asked, Denied("unsupported_response_type", "response type not supported"));
        }
        (Err(denied), _) | (_, Err(denied)) => return refuse(org, &asked, denied),
        (Ok(scope), Ok(challenge)) => (asked.scope, asked.challenge) = (scope, challenge),
    }
    let known = session.filter(|session| state.logins.authorizations.user(session).is_some());
    let known = known.filter(|_| !prompts.contains(&"login"));
    let (login_hint, immediate) = (asked.login_hint.clone(), asked.immediate);
    if known.is_none() && immediate {
        return refuse(org, &asked, Denied("immediate_unsuccessful", "immediate unsuccessful"));
    }
    let source = state.logins.authorizations.begin(asked);
    match known {
        Some(session) => {
            state.logins.authorizations.join(&source, session);
            to_consent(&source)
        }
        None => pages::login(name, &source, &login_hint, None),
    }
}

/// `POST /login`. A login that succeeds begins a browser session, whose cookie is this.
pub(crate) fn log_in(org: &Org, state: &mut OrgState, request: &TokenRequest) -> Answer {
    let field = |name: &str| request.field(name).unwrap_or_default();
    let (source, username) = (field("source"), field("username").trim());
    if state.logins.authorizations.get(source).is_none() {
        return out_of_date(org);
    }
    let user = state.user_named(username);
    let checked = match &user {
        Some(user) if field("password") == PASSWORD => admit::org(state)
            .and_then(|()| admit::user(org, state, user, request.from))
            .map_err(|Denied(_, text)| text)
            .map(|()| user.clone()),
        _ => Err("invalid password"),
    };
    let status = match checked {
        Ok(_) => "Success".to_owned(),
        Err(text) => format!("Failed: {text}"),
    };
    token::log(org, state, (user.as_deref(), "browser".to_owned(), request.from), status);
    let Ok(user) = checked else {
        return pages::login(&org.facts.name, source, username, Some(WRONG_PASSWORD));
    };
    let session = state.logins.authorizations.log_in(&user);
    state.logins.authorizations.join(source, &session);
    let cookie = format!("{}={session}; Path=/; HttpOnly; SameSite=Lax", cookie_name(org));
    to_consent(source).with("Set-Cookie", cookie)
}

/// `GET` of the consent page. A user who need not be asked is sent on to the app.
pub(crate) fn ask(org: &Org, state: &mut OrgState, request: &TokenRequest, session: Option<&str>) -> Answer {
    let source = request.field("source").unwrap_or_default();
    let (asked, user) = match under_way(org, state, source, session) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    if let Err(denied) = may_approve(state, &user) {
        state.logins.authorizations.end(source, None, org.clock.now_ms());
        return refuse(org, &asked, denied);
    }
    let wanted: Vec<&str> = asked.scope.split(' ').collect();
    let covers = |scope: &str| wanted.iter().all(|wanted| scope.split(' ').any(|given| given == *wanted));
    let mut grants = state.logins.grants.live().iter().filter(|grant| grant.user == user);
    let has_approved = grants.any(|grant| covers(&grant.scope));
    let pre_authorized = state.logins.policy.permitted_users == PermittedUsers::AdminApproved;
    if !asked.asks_again && (pre_authorized || has_approved) {
        return allow(org, state, &asked, source, &user);
    }
    if asked.immediate {
        state.logins.authorizations.end(source, None, org.clock.now_ms());
        return refuse(org, &asked, Denied("immediate_unsuccessful", "immediate unsuccessful"));
    }
    let scopes: Vec<(&str, &str)> = SCOPES.into_iter().filter(|(scope, _)| wanted.contains(scope)).collect();
    pages::consent(&org.facts.name, (APP_NAME, &state.username(&user)), source, CONSENT_PATH, &scopes)
}

/// `POST` of the consent page: the user's answer.
pub(crate) fn decide(
    org: &Org,
    state: &mut OrgState,
    request: &TokenRequest,
    session: Option<&str>,
) -> Answer {
    let source = request.field("source").unwrap_or_default();
    let (asked, user) = match under_way(org, state, source, session) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let denied = match request.field("decision") {
        Some("allow") => match may_approve(state, &user) {
            Ok(()) => return allow(org, state, &asked, source, &user),
            Err(denied) => denied,
        },
        Some("deny") => Denied("access_denied", "end-user denied authorization"),
        _ => return pages::error(&org.facts.name, "invalid_request", "allow or deny"),
    };
    state.logins.authorizations.end(source, None, org.clock.now_ms());
    refuse(org, &asked, denied)
}

/// The name of the cookie of a browser session. Orgs differ by their ports alone, which cookies do not know.
pub(crate) fn cookie_name(org: &Org) -> String {
    format!("sid_{}", org.facts.org_id)
}

/// What the app asks for, and the user whose browser this is; else the page that says why not.
fn under_way(
    org: &Org,
    state: &OrgState,
    source: &str,
    session: Option<&str>,
) -> Result<(Authorization, String), Answer> {
    let asked = state.logins.authorizations.get(source).ok_or_else(|| out_of_date(org))?;
    let login = || pages::login(&org.facts.name, source, &asked.login_hint, None);
    // Another browser, or a session from before a login that was asked for, is not the one that has come this far.
    let session = session.filter(|session| asked.session.as_deref() == Some(session)).ok_or_else(login)?;
    let user = state.logins.authorizations.user(session).ok_or_else(login)?;
    Ok((asked.clone(), user.to_owned()))
}

fn may_approve(state: &OrgState, user: &str) -> Result<(), Denied> {
    match state.logins.policy.app {
        AppStatus::NotInstalled => Err(Denied("invalid_client", "app must be installed into org")),
        AppStatus::Blocked => Err(Denied("OAUTH_APP_BLOCKED", "this app is blocked by admin")),
        AppStatus::Installed => {
            admit::permitted(state, user).map_err(|Denied(_, text)| Denied("OAUTH_APP_ACCESS_DENIED", text))
        }
    }
}

fn allow(org: &Org, state: &mut OrgState, asked: &Authorization, source: &str, user: &str) -> Answer {
    let code = state.logins.authorizations.end(source, Some(user), org.clock.now_ms()).unwrap_or_default();
    back_to_app(org, asked, &[("code", &code)])
}

fn refuse(org: &Org, asked: &Authorization, Denied(error, text): Denied) -> Answer {
    back_to_app(org, asked, &[("error", error), ("error_description", text)])
}

/// The redirect to the app, with the state that it has given.
fn back_to_app(org: &Org, asked: &Authorization, fields: &[(&str, &str)]) -> Answer {
    let Ok(mut url) = Url::parse(&asked.redirect_uri) else {
        return pages::error(
            &org.facts.name,
            "redirect_uri_mismatch",
            "redirect_uri must be an absolute URL",
        );
    };
    url.query_pairs_mut().extend_pairs(fields).extend_pairs(asked.state.iter().map(|state| ("state", state)));
    redirect(url.as_str())
}

fn to_consent(source: &str) -> Answer {
    redirect(&format!("{CONSENT_PATH}?source={source}"))
}

fn redirect(to: &str) -> Answer {
    Answer::text(302, pages::HTML, Vec::new()).with("Location", to).with("Cache-Control", "no-store")
}

fn out_of_date(org: &Org) -> Answer {
    pages::error(&org.facts.name, "invalid_request", "this page is out of date: begin again in the app")
}

/// The scopes that are asked for, each once; all that the app has if none is named.
fn scope(request: &TokenRequest) -> Result<String, Denied> {
    let Some(named) = request.field("scope") else {
        return Ok(SCOPES.map(|(scope, _)| scope).join(" "));
    };
    let mut scopes = Vec::new();
    for scope in named.split_whitespace() {
        let scope = if scope == "offline_access" { "refresh_token" } else { scope };
        if !SCOPES.iter().any(|(known, _)| *known == scope) {
            return Err(Denied("invalid_scope", "the requested scope is not allowed"));
        }
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Ok(scopes.join(" "))
}

/// The challenge of PKCE; without a method it is S256, the only one there is.
fn challenge(request: &TokenRequest, required: bool) -> Result<Option<String>, Denied> {
    let Some(challenge) = request.field("code_challenge") else {
        let missing = Denied("invalid_request", "missing required code challenge");
        return if required { Err(missing) } else { Ok(None) };
    };
    if !matches!(request.field("code_challenge_method"), None | Some("S256")) {
        return Err(Denied("invalid_request", "code challenge method not supported"));
    }
    let is_base64url = challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if challenge.len() == CHALLENGE_CHARS && is_base64url {
        Ok(Some(challenge.to_owned()))
    } else {
        Err(Denied("invalid_request", "invalid code challenge"))
    }
}
