//! What a request can be like that nobody should send.
//!
//! Here: the tables. Not here: to which paths they are sent, and what must hold (`main`).

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use crate::raw::Request;

/// A way to spoil a request.
pub(crate) struct Spoil {
    pub(crate) name: &'static str,
    pub(crate) apply: fn(&mut Request),
}

const fn spoil(name: &'static str, apply: fn(&mut Request)) -> Spoil {
    Spoil { name, apply }
}

/// What may not stand in a log or an answer as a line or a header of its own.
pub(crate) const INJECTED: &str = "X-Injected";

/// Values for a part of a path, as they stand in the address. None of them names anything that there is.
pub(crate) const PARTS: &[&str] = &[
    "",
    ".",
    "..",
    "%2e",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cwindows",
    "%00",
    "acme%00",
    "acme%2fpause",
    "acme%252fpause",
    "acme;a=b",
    "acme ",
    "acme%20",
    "acme%09",
    "ACME",
    "%61cme%",
    "%zz",
    "%",
    "%ff%fe",
    "%c0%ae%c0%ae",
    "%ed%a0%80",
    "%0d%0aX-Injected:%20yes%0d%0a",
    "%1b%5b31mred",
    "%e2%80%ae%f0%9f%90%88",
    "\u{202e}\u{1f408}",
    "-1",
    "0",
    "18446744073709551616",
    "1e3",
    "0x10",
    "7%00",
    "<script>alert(1)<%2fscript>",
    "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "{org}",
    "$%7Bjndi:ldap:%2f%2f127.0.0.1%2fx%7D",
    "'%20OR%201=1--",
    "*",
    "acme#",
];

/// Queries, without the `?`.
pub(crate) const QUERIES: &[&str] = &[
    "nobody=knows",
    "record=001000000000001AAA",
    "%00=%00",
    "=",
    "&&&&",
    "a[]=1&a[]=2",
    "limit=-1",
    "limit=1e400",
    "limit=18446744073709551616",
    "limit=1&limit=2",
    "before=%30x10",
    "before=18446744073709551615",
    "all=true&all=true",
    "all=yes",
    "all=true&reason=x",
    "reason=%ff%fe",
    "reason=%0d%0aX-Injected:%20yes",
    "values=1",
    "values=true&values=true",
    "sync=%00",
    "sync=%2e%2e%2f",
    "changed=maybe",
    "deadline_secs=-1",
    "deadline_secs=18446744073709551616",
    "from=",
    "from=99999999999999999999",
    "from=-3&channel=%2fmeta%2fhandshake",
    "channel=%0d%0a",
    "token=",
    "token=op_%00",
    "token[]=x",
    "token=a&token=b",
    "code=%ff&state=%ff",
    "state=x",
    "error=access_denied&error_description=%3Cscript%3E%0d%0aX-Injected:yes&state=x",
    "by=mallory",
    "_method=DELETE",
    "?",
    "#",
    "%",
    "\u{1f408}=\u{202e}",
];

/// Methods beside the path's own.
pub(crate) const METHODS: &[&str] = &[
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "BREW",
    "post",
    "GET\0",
    "",
    "P\u{d6}ST",
];

/// Types that a body claims, whatever it is.
const TYPES: [&str; 8] = [
    "",
    "text/plain",
    "application/json",
    "application/json; charset=utf-16",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "\u{1f408}",
];

/// Bodies, each of which is sent with each type.
pub(crate) fn bodies() -> Vec<(String, String, Vec<u8>)> {
    let new = r#"{"name":"mallory","role":"admin"}"#;
    let bodies: [(&str, Vec<u8>); 22] = [
        ("a token", new.into()),
        ("nothing", Vec::new()),
        ("a zero", b"\0".to_vec()),
        ("no UTF-8", b"{\"name\":\"\xff\xfe\",\"role\":\"admin\"}".to_vec()),
        ("deep lists", "[".repeat(12_000).into()),
        ("deep objects", r#"{"name":"#.repeat(1_500).into()),
        ("a key twice", r#"{"name":"a","name":"mallory","role":"read","role":"admin"}"#.into()),
        ("a key more", r#"{"name":"mallory","role":"admin","by":"first"}"#.into()),
        ("keys in capitals", r#"{"Name":"mallory","Role":"admin"}"#.into()),
        ("a prototype", r#"{"__proto__":{"role":"admin"},"name":"mallory"}"#.into()),
        ("other types", r#"{"name":["mallory"],"role":{"admin":true}}"#.into()),
        ("a huge number", r#"{"name":1e999,"role":18446744073709551616}"#.into()),
        ("a role in capitals", r#"{"name":"mallory","role":"ADMIN"}"#.into()),
        ("lines in a name", r#"{"name":"mallory\r\nX-Injected: yes","role":"admin"}"#.into()),
        ("a zero in a name", r#"{"name":"\u0000","role":"admin"}"#.into()),
        ("half a character", r#"{"name":"\ud800","role":"admin"}"#.into()),
        ("no end", r#"{"name":"mallory""#.into()),
        ("two values", format!("{new}{new}").into()),
        ("a long name", format!(r#"{{"name":"{}","role":"admin"}}"#, "m".repeat(10_000)).into()),
        ("a megabyte", "m".repeat(1 << 20).into()),
        (
            "a form",
            "token=op_x&token=op_y&name=mallory&role=admin&%00=%ff&kind=domain&domain=\u{1f408}".into(),
        ),
        ("an external entity", r#"<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>"#.into()),
    ];
    let with_types = |(name, body): &(&str, Vec<u8>)| {
        TYPES.map(|kind| (format!("{name} as {kind:?}"), kind.to_owned(), body.clone()))
    };
    bodies.iter().flat_map(with_types).collect()
}

/// Whatever else can be wrong with a request.
#[rustfmt::skip]
pub(crate) const SPOILS: &[Spoil] = &[
    spoil("as it is", |_| {}),
    spoil("HTTP/1.0", |request| request.version = "HTTP/1.0"),
    spoil("HTTP/3.7", |request| request.version = "HTTP/3.7"),
    spoil("no version", |request| request.version = ""),
    spoil("no host", |request| request.without("Host")),
    spoil("two hosts", |request| request.line("Host", "evil.example")),
    spoil("two hosts, the other first", |request| request.head.insert(0, b"Host: evil.example".to_vec())),
    spoil("a foreign host", |request| host(request, "evil.example")),
    spoil("a host with a user", |request| host(request, "127.0.0.1@evil.example")),
    spoil("an empty host", |request| host(request, "")),
    spoil("a long host", |request| host(request, &"a".repeat(20_000))),
    spoil("a host with a path", |request| host(request, "127.0.0.1/../evil.example")),
    spoil("a host that is no UTF-8", |request| { request.without("Host"); request.head.push(b"Host: \xff\xfe".to_vec()); }),
    spoil("a host in the first line", |request| request.target = [b"http://evil.example", &request.target[..]].concat()),
    spoil("a star", |request| request.target = b"*".to_vec()),
    spoil("no slash", |request| request.target = b"api".to_vec()),
    spoil("two slashes", |request| request.target.insert(0, b'/')),
    spoil("a slash more", |request| request.target.push(b'/')),
    spoil("dots on the way", |request| request.target = [b"/login/..", &request.target[..]].concat()),
    spoil("hidden dots on the way", |request| request.target = [b"/login/%2e%2e", &request.target[..]].concat()),
    spoil("an open path before it", |request| request.target = [b"/healthz/%2e%2e/..;", &request.target[..]].concat()),
    spoil("a blank in the path", |request| request.target.extend(b" HTTP/1.1 ")),
    spoil("bytes in the path", |request| request.target.extend(b"\xff\xfe")),
    spoil("a zero in the path", |request| request.target.push(0)),
    spoil("a long path", |request| request.target.extend(vec![b'a'; 200_000])),
    spoil("a long query", |request| request.target.extend([b"?limit=", &vec![b'1'; 200_000][..]].concat())),
    spoil("many queries", |request| { request.target.push(b'?'); request.target.extend(b"limit=1&".repeat(5_000)); }),
    spoil("a long header", |request| request.line("X-Long", &"a".repeat(300_000))),
    spoil("many headers", |request| (0..2_000).for_each(|n| request.line(&format!("X-{n}"), "a"))),
    spoil("a header without a name", |request| request.head.push(b": a".to_vec())),
    spoil("a header without a colon", |request| request.head.push(b"nothing".to_vec())),
    spoil("a header that goes on", |request| request.head.extend([b"X-Folded: a".to_vec(), b" b".to_vec()])),
    spoil("a bare line end", |request| request.head.push(b"X-A: a\nX-Injected: yes".to_vec())),
    spoil("a header with a zero", |request| request.head.push(b"X-A: a\0b".to_vec())),
    spoil("no token after its name", |request| authorization(request, b"Bearer")),
    spoil("an empty token", |request| authorization(request, b"Bearer ")),
    spoil("a token that is no UTF-8", |request| authorization(request, b"Bearer \xff\xfe")),
    spoil("a long token", |request| authorization(request, &[b"Bearer ", &vec![b'a'; 100_000][..]].concat())),
    spoil("a user and a password", |request| authorization(request, b"Basic YWRtaW46YWRtaW4=")),
    spoil("a token of none", |request| authorization(request, b"Bearer eyJhbGciOiJub25lIn0.e30.")),
    spoil("two tokens", |request| request.line("Authorization", "Bearer op_guess")),
    spoil("many cookies", |request| request.line("Cookie", &"orgpipe_1=a; ".repeat(4_000))),
    spoil("a cookie of nobody", |request| request.line("Cookie", "orgpipe_8787=\u{1f408}; __Host-orgpipe_443=; =;;")),
    spoil("another origin", |request| request.line("Origin", "https://evil.example")),
    spoil("no origin", |request| request.line("Origin", "null")),
    spoil("another site", |request| request.line("Sec-Fetch-Site", "cross-site")),
    spoil("a site that is no UTF-8", |request| request.head.push(b"Sec-Fetch-Site: \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec())),
    spoil("another method, hidden", |request| request.line("X-HTTP-Method-Override", "DELETE")),
    spoil("another path, hidden", |request| request.line("X-Original-URL", "/api/v1/tokens")),
    spoil("a proxy's word", |request| { request.line("X-Forwarded-Host", "localhost"); request.line("Forwarded", "host=localhost;proto=https"); request.line("X-Real-IP", "127.0.0.1"); }),
    spoil("another protocol", |request| { request.line("Upgrade", "websocket"); request.line("Sec-WebSocket-Key", "x"); }),
    spoil("HTTP/2", |request| { request.line("Upgrade", "h2c"); request.line("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"); }),
    spoil("a part of it", |request| request.line("Range", "bytes=0-0,-1,18446744073709551615-")),
    spoil("an odd encoding", |request| request.line("Accept-Encoding", "gzip;q=9, \u{1f408}, identity;q=0, *;q=0")),
    spoil("an odd type", |request| request.line("Accept", "text/html;q=\u{1f408},*/*;q=1e400")),
    spoil("to go on with", |request| { request.line("Expect", "100-continue"); request.with_body("text/plain", "abc"); }),
    spoil("a negative length", |request| request.line("Content-Length", "-1")),
    spoil("a length that is none", |request| request.line("Content-Length", "0x0")),
    spoil("a length too long", |request| request.line("Content-Length", "18446744073709551616")),
    spoil("a length that does not come", |request| { request.with_body("application/json", "{"); request.without("Content-Length"); request.line("Content-Length", "50"); }),
    spoil("two lengths", |request| { request.line("Content-Length", "0"); request.line("Content-Length", "5"); request.body = b"abcde".to_vec(); }),
    spoil("a length and chunks", |request| { request.line("Content-Length", "0"); chunks(request, SMUGGLED); }),
    spoil("chunks of another kind", |request| { request.line("Transfer-Encoding", "gzip, chunked"); request.body = b"0\r\n\r\n".to_vec(); }),
    spoil("chunks of no kind", |request| { request.line("Transfer-Encoding", "\u{1f408}"); request.body = b"abc".to_vec(); }),
    spoil("a chunk of no size", |request| chunks(request, b"zz\r\nabc\r\n0\r\n\r\n")),
    spoil("a chunk of a huge size", |request| chunks(request, b"ffffffffffffffffff\r\nabc\r\n")),
    spoil("a chunk that does not end", |request| chunks(request, b"5\r\nab")),
    spoil("a chunk with a long word", |request| chunks(request, &[b"1;", &vec![b'a'; 100_000][..], b"\r\na\r\n0\r\n\r\n"].concat())),
    spoil("many chunks", |request| chunks(request, &[&b"1\r\na\r\n".repeat(20_000)[..], b"0\r\n\r\n"].concat())),
    spoil("a body that is packed", |request| { request.line("Content-Encoding", "gzip"); request.with_body("application/json", packed()); }),
    spoil("a body that is packed wrongly", |request| { request.line("Content-Encoding", "gzip"); request.with_body("application/json", "no gzip"); }),
    spoil("a request in the body", |request| request.with_body("text/plain", SMUGGLED)),
    spoil("another request behind it", |request| { request.without("Connection"); request.body = SMUGGLED.to_vec(); }),
];

/// Somebody else's request, which must not be taken for one of this caller.
const SMUGGLED: &[u8] =
    b"0\r\n\r\nGET /api/v1/tokens HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";

fn host(request: &mut Request, name: &str) {
    request.without("Host");
    request.line("Host", name);
}

fn authorization(request: &mut Request, value: &[u8]) {
    request.without("Authorization");
    request.head.push([b"Authorization: ", value].concat());
}

fn chunks(request: &mut Request, body: &[u8]) {
    request.line("Transfer-Encoding", "chunked");
    request.line("Content-Type", "application/json");
    request.body = body.to_vec();
}

/// Little that becomes much.
fn packed() -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&vec![b' '; 8 << 20]).expect("memory");
    packer.finish().expect("memory")
}
