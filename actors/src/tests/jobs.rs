//! The Bulk jobs of an org that is made up: all of them stand in its queue until they are aborted.

use bytes::Bytes;
use orgpipe_salesforce::call::{Body, Call, Method};
use serde_json::{Value, json};

/// The jobs of one org.
#[derive(Debug, Default)]
pub(super) struct FakeJobs {
    jobs: Vec<FakeJob>,
    /// The next abort finds the job ended by itself a moment before.
    end_first: bool,
    /// Aborts that were asked for.
    aborts: usize,
    /// Nothing about jobs is answered but an error inside.
    fails: bool,
    /// The results of jobs are a page instead of CSV.
    garbled: bool,
}

#[derive(Debug)]
struct FakeJob {
    state: &'static str,
    csv: String,
}

/// What a call about jobs comes to.
pub(super) struct AboutJobs {
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// Keys that are written with it.
    pub(super) written: Vec<String>,
}

impl FakeJobs {
    /// How many there were.
    pub(super) fn count(&self) -> usize {
        self.jobs.len()
    }

    /// Aborts that were asked for.
    pub(super) fn aborts(&self) -> usize {
        self.aborts
    }

    /// The next abort comes too late.
    pub(super) fn end_first(&mut self) {
        self.end_first = true;
    }

    /// From now on all that is asked about jobs fails inside.
    pub(super) fn fail(&mut self) {
        self.fails = true;
    }

    /// From now on nobody can read the results of a job.
    pub(super) fn garble(&mut self) {
        self.garbled = true;
    }

    /// Answers a call about jobs; none: it is about something else.
    pub(super) fn answer(&mut self, call: &Call) -> Option<AboutJobs> {
        let (_, path) = call.path.split_once("/jobs/ingest")?;
        let json = |status, value: Value| AboutJobs {
            status,
            body: Bytes::from(value.to_string()),
            written: Vec::new(),
        };
        if self.fails {
            let error = json!([{ "errorCode": "UNKNOWN_EXCEPTION", "message": "an unexpected error" }]);
            return Some(json(500, error));
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let number = |id: &&str| id.strip_prefix("750")?.parse::<usize>().ok();
        let place = parts.first().and_then(number);
        let info = |place: usize, job: &FakeJob| {
            json!({ "id": format!("750{place}"), "state": job.state, "numberRecordsProcessed": 0,
                "contentUrl": format!("services/data/v66.0/jobs/ingest/750{place}/batches") })
        };
        Some(match (call.method, place, parts.get(1)) {
            (Method::Post, None, _) => {
                self.jobs.push(FakeJob { state: "Open", csv: String::new() });
                let place = self.jobs.len() - 1;
                json(200, info(place, &self.jobs[place]))
            }
            (Method::Get, None, _) => json(200, json!({ "done": true, "records": [] })),
            (Method::Put, Some(place), _) => {
                if let Body::Csv(csv) = &call.body {
                    self.jobs[place].csv = String::from_utf8_lossy(csv).into_owned();
                }
                json(201, Value::Null)
            }
            (Method::Patch, Some(place), _) => {
                let Body::Json(body) = &call.body else { return Some(json(400, Value::Null)) };
                let wanted: Value = serde_json::from_slice(body).expect("JSON");
                if wanted["state"] == "UploadComplete" {
                    self.jobs[place].state = "UploadComplete";
                    return Some(json(200, info(place, &self.jobs[place])));
                }
                self.aborts += 1;
                if std::mem::take(&mut self.end_first) {
                    self.jobs[place].state = "JobComplete";
                    let written = keys(&self.jobs[place].csv);
                    let message = "Aborting already Completed Job not allowed";
                    let refusal = json!([{ "errorCode": "INVALIDJOBSTATE", "message": message }]);
                    return Some(AboutJobs { written, ..json(400, refusal) });
                }
                self.jobs[place].state = "Aborted";
                json(200, info(place, &self.jobs[place]))
            }
            (Method::Get, Some(place), None) => json(200, info(place, &self.jobs[place])),
            (_, Some(place), Some(file)) => {
                let page = || "<html>\n<title>No</title>\n".to_owned();
                let body = if self.garbled { page() } else { file_of(&self.jobs[place], file) };
                AboutJobs { status: 200, body: Bytes::from(body), written: Vec::new() }
            }
            (_, _, None) | (_, None, _) => json(404, Value::Null),
        })
    }
}

fn file_of(job: &FakeJob, file: &str) -> String {
    let (header, rows) = job.csv.split_once('\n').unwrap_or((&job.csv, ""));
    match (file, job.state) {
        ("successfulResults", "JobComplete") => {
            let rows: Vec<String> = rows.lines().map(|row| format!("\"a01\",\"true\",{row}\n")).collect();
            format!("\"sf__Id\",\"sf__Created\",{header}\n{}", rows.concat())
        }
        ("unprocessedrecords", "Aborted") => job.csv.clone(),
        ("unprocessedrecords", _) => format!("{header}\n"),
        ("successfulResults", _) => format!("\"sf__Id\",\"sf__Created\",{header}\n"),
        _ => format!("\"sf__Id\",\"sf__Error\",{header}\n"),
    }
}

/// The values of the first column, which is the external ID.
fn keys(csv: &str) -> Vec<String> {
    let first = |row: &str| row.split(',').next().unwrap_or_default().trim_matches('"').to_owned();
    csv.lines().skip(1).map(first).collect()
}
