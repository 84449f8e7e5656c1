//! `orgpipe limits ORG`: the org's API calls of the day, what waits for them, and what a refresh would take.
//!
//! Here: how it is printed. Not here: the budget and the forecast (`orgpipe_actors`).

use std::process::ExitCode;

use serde_json::Value;

use super::running;
use crate::{cli::OrgTarget, output};

/// Asks the running service and prints what it says.
pub(crate) fn run(target: &OrgTarget) -> ExitCode {
    match running::post(&target.service, &["orgs", &target.org, "limits"], &[]) {
        Ok(answer) => {
            for line in lines(&target.org, &answer.body) {
                output::line(&line);
            }
            ExitCode::SUCCESS
        }
        Err(exit) => exit,
    }
}

fn lines(org: &str, body: &Value) -> Vec<String> {
    let budget = &body["budget"];
    let number =
        |key: &str| budget[key].as_u64().map_or_else(|| "not yet known".to_owned(), |n| n.to_string());
    let mut lines = vec![
        format!("org {org}: API calls of the last 24 hours"),
        format!("  by everybody    {} of {}", number("used"), number("allowed")),
        format!(
            "  by orgpipe      {} of {}, {} more planned",
            number("ours"),
            number("share"),
            number("planned")
        ),
        format!("  kept free       {}", number("reserve")),
        format!(
            "  speed           {} a second, {} at a time",
            number("requests_per_second"),
            number("concurrent_max")
        ),
    ];
    let texts = |list: &Value, text: &dyn Fn(&Value) -> String| -> Vec<String> {
        list.as_array().into_iter().flatten().map(text).collect()
    };
    let text = |value: &Value| output::part(value.as_str().unwrap_or_default());
    lines.extend(texts(&budget["waits"], &|wait| {
        format!("  waits           {}: {}", text(&wait["work"]), text(&wait["why"]))
    }));
    lines.extend(texts(&body["waits"], &|wait| format!("  waits           {}", text(wait))));
    lines.extend(texts(&body["forecasts"], &|forecast| {
        format!("  forecast        {}", text(&forecast["sentence"]))
    }));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_number_has_its_line() {
        let body = json!({
            "budget": { "allowed": null, "used": null, "ours": 7, "share": 0, "planned": 3, "reserve": 0,
                "requests_per_second": 10, "concurrent_max": 5,
                "waits": [{ "work": "refresh", "why": "our share is used up" }] },
            "waits": ["writer: the org is locked"],
            "forecasts": [{ "sentence": "a refresh takes 212 calls" }]
        });
        let text = lines("acme", &body).join("\n");
        let parts = [
            "org acme",
            "not yet known of not yet known",
            "7 of 0, 3 more",
            "refresh: our share is used up",
            "writer: the org is locked",
            "212 calls",
        ];
        for part in parts {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
