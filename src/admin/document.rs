//! The document of the admin API (OpenAPI 3.1), made from the handlers and the types of what they answer.
//!
//! Here: which handlers are in it, and what holds for all of them alike: roles, parts of a path, and the answers to requests that
//! do not get as far as a handler. Not here: what one answers, which stands above it (`#[utoipa::path]`), and which paths there are
//! (`routes`).

use std::collections::BTreeMap;

use actix_web::{
    HttpResponse,
    http::{Method, header},
    web::{Data, Query},
};
use utoipa::{
    OpenApi,
    openapi::{
        Components, Content, ContentBuilder, HeaderBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder, Ref,
        RefOr, Required, Response, ResponseBuilder, Schema, SecurityRequirement, ServerBuilder,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        schema::{SchemaType, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{
    alerts, audit, changes, commands, dead_letters, live, login, metrics, orgs, preview_page, previews,
    probes,
    problem::{ApiError, RefusedSettings},
    query::NoQuery,
    reload, stored_orgs, token_commands,
    tokens::Role,
    views,
};
use crate::{
    connect::handlers as connect,
    dashboard::{assets, fleet, lookup, org, process},
};

/// What is said at its beginning.
const ABOUT: &str = "\
What an operator sees and does, and what your own systems may ask.

**Who may ask.** Send `Authorization: Bearer TOKEN`. The first token is in the file `data.token` beside the data directory; \
`orgpipe tokens add` makes more. Each has a role: `read` sees all but the values of records, `operate` also gives commands and sees \
values, `admin` also gives out tokens, adds and deletes; each operation names the lowest one that may ask. `Host` must be localhost, a \
loopback address or one of `service.hosts`. A command is refused if a browser says that the page of another site sent it.

**Names.** Keys are in `snake_case`. A moment ends in `_ms`: milliseconds since 1970, UTC. A length of time ends in `_ms` or `_secs` \
and says so. Names of parts, states, priorities and ends are the same here, in the metrics, on the pages and on the command line. \
New keys may come with a new version: ignore those that you do not know.

**Errors.** An answer that is no success is `{\"error\": …, \"hint\": …}`: what is wrong, and what to do about it. A name in the query \
or the body that nobody knows is refused (400), so that a mistyped one is not taken for none.

**Pages of a list.** A list comes as an object with the list in it, the newest first, and takes `limit`. Where there may be more, \
`before` goes on: give it the lowest number of the page before.

**Commands** (POST) are answered once they are on disk (202) or done (200, 201). They may be repeated: what is done already stays so.";

/// One line of the table of paths.
#[derive(Clone, Debug)]
pub(super) struct ServedPath {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// None: everybody may ask.
    pub(super) role: Option<Role>,
    pub(super) reads_body: bool,
}

/// The handlers. One that is not here is missed by a test.
#[derive(OpenApi)]
#[openapi(
    paths(
        assets::serve,
        login::show,
        login::post,
        login::log_out,
        connect::show,
        connect::begin,
        connect::check,
        connect::answer,
        fleet::show,
        live::open,
        lookup::show,
        process::show,
        org::overview::show,
        org::forecast::post,
        org::letters::show,
        org::letters::post,
        org::record::show,
        org::doctor::show,
        org::doctor::post,
        org::mapping::show,
        org::audit::show,
        preview_page::show,
        preview_page::post,
        probes::alive,
        probes::ready,
        metrics::show,
        show,
        views::history,
        views::org_history,
        views::lookup,
        views::process,
        orgs::tree,
        orgs::list,
        orgs::one,
        orgs::syncs,
        orgs::receipts,
        orgs::refreshes,
        orgs::explain,
        orgs::find,
        orgs::doctor,
        orgs::last_examination,
        orgs::limits,
        reload::post,
        audit::list,
        audit::of_org,
        alerts::list,
        alerts::receivers,
        alerts::test,
        changes::list,
        changes::add,
        changes::show,
        token_commands::list,
        token_commands::add,
        token_commands::revoke,
        stored_orgs::add,
        stored_orgs::invite,
        stored_orgs::remove,
        commands::pause,
        commands::resume,
        commands::restart,
        commands::drain,
        commands::refresh,
        commands::pause_refresh,
        commands::resume_refresh,
        commands::cancel_refresh,
        commands::replay,
        commands::purge,
        dead_letters::list,
        dead_letters::audit,
        dead_letters::groups,
        dead_letters::retried,
        dead_letters::show,
        dead_letters::retry,
        dead_letters::discard,
        dead_letters::retry_many,
        dead_letters::discard_many,
        previews::post,
    ),
    components(schemas(ApiError, RefusedSettings)),
    tags(
        (name = "service", description = "The process, its metrics and its settings."),
        (name = "orgs", description = "The customers' orgs: what they are at, and commands to them."),
        (name = "records", description = "What became of records, and what would become of them."),
        (name = "dead letters", description = "What could not be written."),
        (name = "pushes", description = "You say that your own data has changed."),
        (name = "tokens", description = "Who may ask."),
        (name = "connect", description = "Pages on which customers connect their orgs; the link lets them in."),
        (name = "pages", description = "The dashboard, for browsers. Not for programs: pages change."),
    )
)]
struct Handlers;

/// The document, as it is served and kept in `config/admin-openapi.json`.
#[derive(Clone, Debug)]
pub(crate) struct Document(pub(crate) String);

/// This document
///
/// It is made from the code that answers. `orgpipe openapi` prints it without a running service.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    operation_id = "getDocument",
    tag = "service",
    responses((status = 200, description = "OpenAPI 3.1.", content_type = "application/json", body = Object))
)]
pub(super) async fn show(document: Data<Document>, _: Query<NoQuery>) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(document.0.clone())
}

impl Document {
    /// Of what is served.
    pub(super) fn of(served: impl Iterator<Item = ServedPath>) -> Self {
        let mut document = Handlers::openapi();
        document.info = InfoBuilder::new()
            .title("orgpipe's admin API")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(ABOUT))
            .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").build()))
            .build();
        let address = ServerBuilder::new().url("http://127.0.0.1:8787").description(Some("`service.listen`"));
        document.servers = Some(vec![address.build()]);
        let components = document.components.get_or_insert_with(Components::new);
        for (name, response) in common_responses() {
            components.responses.insert(name.to_owned(), RefOr::T(response));
        }
        for (name, scheme) in security_schemes() {
            components.security_schemes.insert(name.to_owned(), scheme);
        }
        for served in served {
            let described =
                document.paths.paths.get_mut(served.path).and_then(|item| match served.method.as_str() {
                    "GET" => item.get.as_mut(),
                    "POST" => item.post.as_mut(),
                    _ => None,
                });
            if let Some(operation) = described {
                complete(operation, &served);
            }
        }
        let mut text = document.to_pretty_json().expect("plain values become JSON");
        text.push('\n');
        Self(text)
    }
}

/// Adds to an operation what its line in the table says.
fn complete(operation: &mut Operation, served: &ServedPath) {
    let mut security = Vec::new();
    if let Some(role) = served.role {
        security =
            ["token", "session"].map(|scheme| SecurityRequirement::new(scheme, [role.name()])).to_vec();
        let may = format!("Takes the role `{}`.", role.name());
        let about = operation.description.take().filter(|about| !about.is_empty());
        operation.description = Some(about.map_or(may.clone(), |about| format!("{about}\n\n{may}")));
    }
    operation.security = Some(security);
    let parameters = operation.parameters.get_or_insert_default();
    parameters.iter_mut().for_each(plain);
    for part in served.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        if !parameters.iter().any(|parameter| parameter.name == part) {
            parameters.push(path_parameter(part));
        }
    }
    if parameters.is_empty() {
        operation.parameters = None;
    }
    for (status, response) in common(served) {
        let known = &mut operation.responses.responses;
        known.entry(status.to_owned()).or_insert_with(|| RefOr::Ref(Ref::from_response_name(response)));
    }
}

/// A query and a header leave out what is not said: there is no null in them. A number in them may be as large as it likes, and a
/// format would say less.
fn plain(parameter: &mut Parameter) {
    if let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema
        && let SchemaType::Array(types) = &object.schema_type
        && let [known] = types.iter().filter(|one| **one != Type::Null).collect::<Vec<_>>()[..]
    {
        object.schema_type = SchemaType::Type(known.clone());
    }
    if let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema
        && object.schema_type == SchemaType::Type(Type::Integer)
    {
        object.format = None;
    }
}

/// What a part of a path is.
fn path_parameter(name: &str) -> Parameter {
    let (about, schema_type) = match name {
        "org" => ("The org's `id` of the settings.", Type::String),
        "number" => ("Its number.", Type::Integer),
        "record" => ("The record's ID, 15 or 18 characters.", Type::String),
        "link" => ("Of the link that the customer was sent.", Type::String),
        _ => ("Its name.", Type::String),
    };
    let mut schema = ObjectBuilder::new().schema_type(schema_type.clone());
    schema = match schema_type {
        Type::Integer => schema.minimum(Some(0)),
        _ => schema.min_length(Some(1)),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(about))
        .schema(Some(schema))
        .build()
}

/// What may be answered before a handler is asked, or by all of them alike: a status, and the name of an answer.
fn common(served: &ServedPath) -> Vec<(&'static str, &'static str)> {
    let mut common = vec![("400", "BadRequest")];
    let is_api = served.path.starts_with("/api/");
    if !matches!(served.path, "/healthz" | "/readyz") {
        common.push(("421", "Misdirected"));
    }
    if served.method != Method::GET || served.role.is_some() {
        common.push(("403", "Forbidden"));
    }
    if served.role.is_some() {
        common.push(("401", if is_api { "NoToken" } else { "LoginPage" }));
        common.push(("429", "TooManyRequests"));
    }
    if served.reads_body && is_api {
        common.extend([("413", "TooLarge"), ("415", "NotJson")]);
    }
    if is_api {
        common.push(("500", "Failed"));
        if served.path.contains('{') {
            common.push(("404", "NotFound"));
        }
    }
    common
}

fn common_responses() -> BTreeMap<&'static str, Response> {
    BTreeMap::from([
        (
            "BadRequest",
            refusal(
                "The query or the body cannot be taken: a name that nobody knows, or a body on a path that reads none. Nothing was done.",
            ),
        ),
        (
            "NoToken",
            with_header(
                refusal("There is no token, or one that is not known."),
                "WWW-Authenticate",
                Type::String,
                "RFC 6750.",
            ),
        ),
        ("LoginPage", login_page()),
        ("Forbidden", refusal("The token's role is too low, or the page of another site sent the command.")),
        ("NotFound", refusal("There is no such org, dead letter, push, sync, token or receiver.")),
        ("TooLarge", refusal("The body is too large.")),
        ("NotJson", refusal("The body is no JSON, or does not say so.")),
        ("Misdirected", refusal("`Host` is none of the service's names.")),
        (
            "TooManyRequests",
            with_header(
                refusal("Too many wrong tokens were tried; who has a right one never waits."),
                "Retry-After",
                Type::Integer,
                "Seconds.",
            ),
        ),
        ("Failed", refusal("Something failed inside; orgpipe's log says what.")),
    ])
}

fn refusal(about: &str) -> Response {
    ResponseBuilder::new().description(about).content("application/json", refusal_content()).build()
}

fn refusal_content() -> Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("ApiError"))).build()
}

fn login_page() -> Response {
    let text = ObjectBuilder::new().schema_type(Type::String);
    ResponseBuilder::new()
        .description("There is no token, or one that is not known. Browsers get the page to log in on.")
        .content("text/html", ContentBuilder::new().schema(Some(text)).build())
        .content("application/json", refusal_content())
        .build()
}

fn with_header(mut response: Response, name: &str, schema_type: Type, about: &str) -> Response {
    let schema = ObjectBuilder::new().schema_type(schema_type);
    let header = HeaderBuilder::new().schema(schema).description(Some(about)).build();
    response.headers.insert(name.to_owned(), header);
    response
}

fn security_schemes() -> [(&'static str, SecurityScheme); 2] {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The list beside it names the lowest role that may ask."));
    let session = ApiKeyValue::with_description(
        "orgpipe_8787",
        "A browser that has logged in; the port is the service's, and `__Host-` stands before the name where it is reached by TLS.",
    );
    [
        ("token", SecurityScheme::Http(token.build())),
        ("session", SecurityScheme::ApiKey(ApiKey::Cookie(session))),
    ]
}
