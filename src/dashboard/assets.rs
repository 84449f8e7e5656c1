//! Style sheets, scripts and the icon, built into the program.
//!
//! Here: their addresses, and serving them. Not here: what stands in them (`assets/`); where those of others come from
//! (`assets/vendor/vendor.json`; `cargo xtask vendor` fetches them).
//!
//! A name has the hash of what is in the file, so that browsers keep it for ever and take a new one when it has changed.

use std::{fmt::Write as _, io::Write as _, sync::LazyLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderMap},
    web::Path,
};
use aws_lc_rs::digest::{SHA256, digest};
use flate2::{Compression, write::GzEncoder};

/// Hexadecimal digits of a file's hash in its name.
const HASH_DIGITS: usize = 12;

/// A file that pages ask for.
pub(crate) struct Asset {
    /// As `NAME.HASH.KIND`.
    name: String,
    media_type: &'static str,
    plain: &'static [u8],
    packed: Vec<u8>,
}

impl Asset {
    fn new(name: &str, kind: &str, media_type: &'static str, plain: &'static [u8]) -> Self {
        let mut hash = String::new();
        for byte in digest(&SHA256, plain).as_ref() {
            // Writing into a text does not fail, nor into memory.
            let _ = write!(hash, "{byte:02x}");
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        let _ = gzip.write_all(plain);
        let packed = gzip.finish().unwrap_or_default();
        Self { name: format!("{name}.{}.{kind}", &hash[..HASH_DIGITS]), media_type, plain, packed }
    }

    /// Where it is served.
    pub(crate) fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

const STYLE_TYPE: &str = "text/css; charset=utf-8";
const SCRIPT_TYPE: &str = "text/javascript; charset=utf-8";

/// All there are.
pub(crate) struct Assets {
    /// How all pages look.
    pub(crate) style: Asset,
    /// Sets the theme before anything is drawn.
    pub(crate) theme: Asset,
    /// Keeps a page up to date.
    pub(crate) app: Asset,
    /// Of others; see `vendor.json`.
    pub(crate) htmx: Asset,
    pub(crate) morph: Asset,
    pub(crate) charts: Asset,
    pub(crate) charts_style: Asset,
    /// In the browser's tab.
    pub(crate) icon: Asset,
}

/// Made at the first page.
pub(crate) static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let style = |name, plain| Asset::new(name, "css", STYLE_TYPE, plain);
    let script = |name, plain| Asset::new(name, "js", SCRIPT_TYPE, plain);
    Assets {
        style: style("style", include_bytes!("assets/style.css")),
        theme: script("theme", include_bytes!("assets/theme.js")),
        app: script("app", include_bytes!("assets/app.js")),
        htmx: script("htmx", include_bytes!("assets/vendor/htmx.min.js")),
        morph: script("idiomorph", include_bytes!("assets/vendor/idiomorph-ext.min.js")),
        charts: script("uplot", include_bytes!("assets/vendor/uPlot.iife.min.js")),
        charts_style: style("uplot", include_bytes!("assets/vendor/uPlot.min.css")),
        icon: Asset::new("icon", "svg", "image/svg+xml", include_bytes!("assets/icon.svg")),
    }
});

impl Assets {
    fn all(&self) -> [&Asset; 8] {
        let Self { style, theme, app, htmx, morph, charts, charts_style, icon } = self;
        [style, theme, app, htmx, morph, charts, charts_style, icon]
    }

    /// What a page is of: one that was drawn by another version of the program is drawn anew.
    pub(crate) fn build(&self) -> String {
        format!("{}-{}-{}", env!("CARGO_PKG_VERSION"), self.style.name, self.app.name)
    }
}

/// A style sheet, script or picture of the pages
///
/// Its name has the hash of what is in it, so that it can be kept for ever.
#[utoipa::path(
    get,
    path = "/assets/{name}",
    operation_id = "getAsset",
    tag = "pages",
    responses(
        (status = 200, description = "The file.", content((String = "text/css"), (String = "text/javascript"), (String = "image/svg+xml"))),
        (status = 404, description = "There is no such file.", content_type = "text/plain", body = String),
    )
)]
pub(crate) async fn serve(request: HttpRequest, name: Path<String>) -> HttpResponse {
    let Some(asset) = ASSETS.all().into_iter().find(|asset| asset.name == *name) else {
        return HttpResponse::NotFound()
            .content_type("text/plain; charset=utf-8")
            .body("there is no such file\n");
    };
    let mut answer = HttpResponse::Ok();
    answer
        .content_type(asset.media_type)
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((header::VARY, "Accept-Encoding"));
    if takes_packed(request.headers()) {
        answer.insert_header((header::CONTENT_ENCODING, "gzip")).body(asset.packed.clone())
    } else {
        answer.body(asset.plain)
    }
}

fn takes_packed(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|accepts| accepts.to_str().ok());
    let mut kinds = accepts.unwrap_or_default().split(',').map(str::trim);
    kinds.any(|kind| kind == "gzip" || kind.starts_with("gzip;") && !kind.ends_with("q=0"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    /// Each file of others is the one that was looked at, and its licence stands beside it.
    #[test]
    fn files_of_others_are_those_that_are_listed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dashboard/assets/vendor");
        let read =
            |name: &str| std::fs::read(folder.join(name)).unwrap_or_else(|cause| panic!("{name}: {cause}"));
        let listed: Value = serde_json::from_slice(&read("vendor.json")).expect("JSON");
        let mut names = vec!["vendor.json".to_owned()];
        for package in listed.as_array().expect("a list") {
            let licence = package["licence"].as_str().expect("a licence");
            assert!(["0BSD", "MIT"].contains(&licence), "{package}");
            for file in package["files"].as_array().expect("a list") {
                let name = file["to"].as_str().expect("a name");
                let hash =
                    digest(&SHA256, &read(name)).as_ref().iter().fold(String::new(), |mut hash, byte| {
                        let _ = write!(hash, "{byte:02x}");
                        hash
                    });
                assert_eq!(file["sha256"], hash, "{name}: `cargo xtask vendor` fetches what is listed");
                names.push(name.to_owned());
            }
        }
        let there = std::fs::read_dir(&folder).expect("a folder");
        for file in there {
            let name = file.expect("a file").file_name().into_string().expect("a name");
            assert!(names.contains(&name), "{name} is not listed in vendor.json");
        }
    }

    #[test]
    fn a_name_changes_with_what_is_in_the_file() {
        let name = |plain| Asset::new("app", "js", SCRIPT_TYPE, plain).name;
        assert_ne!(name(b"a"), name(b"b"));
        assert!(name(b"a").starts_with("app.") && name(b"a").contains(".js"));
    }

    #[test]
    fn what_is_packed_is_sent_to_whoever_takes_it() {
        for (accepts, taken) in
            [("gzip, br", true), ("br;q=1, gzip;q=0.5", true), ("gzip;q=0", false), ("br", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, header::HeaderValue::from_static(accepts));
            assert_eq!(takes_packed(&headers), taken, "{accepts}");
        }
    }
}
