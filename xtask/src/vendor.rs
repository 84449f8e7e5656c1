//! Fetches the dashboard's files of others from npm, as `vendor.json` lists them.
//!
//! Here: fetching a package, comparing its integrity, and taking the listed files out of it. Not here: which files they are
//! (`src/dashboard/assets/vendor/vendor.json`); a unit test beside it holds each against its hash.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

const FOLDER: &str = "src/dashboard/assets/vendor";

/// Whether all were fetched and are those that are listed.
pub(crate) fn fetch() -> bool {
    match fetch_all() {
        Ok(files) => {
            println!("{files} files are in {FOLDER}; `git diff` shows what has changed.");
            true
        }
        Err(cause) => {
            eprintln!("the dashboard's files of others could not be fetched: {cause}");
            false
        }
    }
}

fn fetch_all() -> Result<usize, String> {
    let told = |cause: std::io::Error| cause.to_string();
    let listed = std::fs::read_to_string(Path::new(FOLDER).join("vendor.json")).map_err(told)?;
    let listed: Value = serde_json::from_str(&listed).map_err(|cause| cause.to_string())?;
    let folder = PathBuf::from("target/vendor");
    std::fs::create_dir_all(&folder).map_err(told)?;
    let mut files = 0;
    for package in listed.as_array().into_iter().flatten() {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let name = format!("{}@{}", text("name"), text("version"));
        let archive = pack(&folder, &name, text("integrity"))?;
        for file in package["files"].as_array().into_iter().flatten() {
            let (from, to) =
                (file["from"].as_str().unwrap_or_default(), file["to"].as_str().unwrap_or_default());
            let inside = format!("package/{from}");
            let taken =
                Command::new("tar").args(["-xzOf"]).arg(&archive).arg(&inside).output().map_err(told)?;
            if !taken.status.success() {
                return Err(format!("{name} has no file {from}"));
            }
            std::fs::write(Path::new(FOLDER).join(to), taken.stdout).map_err(told)?;
            files += 1;
        }
    }
    Ok(files)
}

/// Fetches a package; gives the path of its archive, if it is the one that is listed.
fn pack(folder: &Path, name: &str, integrity: &str) -> Result<PathBuf, String> {
    let packed =
        Command::new("npm").args(["pack", name, "--json", "--pack-destination"]).arg(folder).output();
    let packed = packed.map_err(|cause| format!("npm: {cause}"))?;
    if !packed.status.success() {
        return Err(format!("npm pack {name}: {}", String::from_utf8_lossy(&packed.stderr)));
    }
    let told: Value =
        serde_json::from_slice(&packed.stdout).map_err(|cause| format!("npm pack {name}: {cause}"))?;
    if told[0]["integrity"] != integrity {
        return Err(format!(
            "{name} is another one than is listed: its integrity is {}",
            told[0]["integrity"]
        ));
    }
    let file = told[0]["filename"].as_str().ok_or_else(|| format!("npm pack {name} names no file"))?;
    Ok(folder.join(file))
}
