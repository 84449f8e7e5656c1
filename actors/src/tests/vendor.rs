//! A vendor's look-up API that is made up: it knows each domain `dN.com` as `KN`, and fails on request.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use serde_json::{Value, json};

use crate::{
    measure::LookupEnd,
    vendor::lookup::{LookupTransport, Miss, TraceHeaders},
};

/// How long an answer takes.
const LOOK_UP: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
pub(super) struct FakeVendor {
    down: AtomicBool,
    employees: AtomicUsize,
    /// Records asked for, by call.
    asked: Mutex<Vec<usize>>,
    /// Domains that it cannot be asked about, and with which status it answers then.
    poison: Mutex<BTreeMap<String, u16>>,
}

impl FakeVendor {
    /// From now on it is down, or up again.
    pub(super) fn down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// What it says of every company from now on.
    pub(super) fn employees(&self, count: usize) {
        self.employees.store(count, Ordering::SeqCst);
    }

    /// From now on it answers with this status whenever company `n` is among those it is asked about.
    pub(super) fn fails_on(&self, n: usize, status: u16) {
        let mut poison = self.poison.lock().unwrap_or_else(PoisonError::into_inner);
        poison.insert(format!("d{n}.com"), status);
    }

    /// How many records it was asked for, by call.
    pub(super) fn asked(&self) -> Vec<usize> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn answer(&self, body: String) -> Result<Bytes, Miss> {
        tokio::time::sleep(LOOK_UP).await;
        if self.down.load(Ordering::SeqCst) {
            return Err(Miss::Down {
                what: "it answered status 503".to_owned(),
                end: LookupEnd::ServerError,
                asked: None,
            });
        }
        let asked: Value = serde_json::from_str(&body).expect("a look-up is JSON");
        let employees = self.employees.load(Ordering::SeqCst);
        let records = asked["records"].as_array().expect("a list");
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(records.len());
        let poison = self.poison.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let status = |record: &Value| record["keys"]["domain"].as_str().and_then(|domain| poison.get(domain));
        match records.iter().find_map(status) {
            Some(status @ 500..) => {
                let what = format!("it answered status {status}");
                return Err(Miss::Failed { what, end: LookupEnd::ServerError });
            }
            Some(status) => return Err(Miss::Refused(*status)),
            None => {}
        }
        let answers = records.iter().map(|record| {
            let domain = record["keys"]["domain"].as_str().expect("a domain");
            let key = domain.trim_start_matches('d').trim_end_matches(".com");
            json!({ "id": record["id"], "data": { "key": format!("K{key}"), "employees": employees } })
        });
        Ok(json!({ "records": answers.collect::<Vec<_>>() }).to_string().into())
    }
}

impl LookupTransport for FakeVendor {
    fn post(&self, body: String, _: TraceHeaders) -> LocalBoxFuture<'_, Result<Bytes, Miss>> {
        self.answer(body).boxed_local()
    }
}
