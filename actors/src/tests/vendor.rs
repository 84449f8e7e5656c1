//! A vendor's look-up API that is made up: it knows each domain `dN.com` as `KN`, and fails on request.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use serde_json::{Value, json};

use crate::vendor::lookup::{LookupTransport, Miss};

/// How long an answer takes.
const LOOK_UP: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
pub(super) struct FakeVendor {
    down: AtomicBool,
    employees: AtomicUsize,
    /// Records asked for, by call.
    asked: Mutex<Vec<usize>>,
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

    /// How many records it was asked for, by call.
    pub(super) fn asked(&self) -> Vec<usize> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn answer(&self, body: String) -> Result<Bytes, Miss> {
        tokio::time::sleep(LOOK_UP).await;
        if self.down.load(Ordering::SeqCst) {
            return Err(Miss::Down { what: "it answered status 503".to_owned(), asked: None });
        }
        let asked: Value = serde_json::from_str(&body).expect("a look-up is JSON");
        let employees = self.employees.load(Ordering::SeqCst);
        let records = asked["records"].as_array().expect("a list");
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(records.len());
        let answers = records.iter().map(|record| {
            let domain = record["keys"]["domain"].as_str().expect("a domain");
            let key = domain.trim_start_matches('d').trim_end_matches(".com");
            json!({ "id": record["id"], "data": { "key": format!("K{key}"), "employees": employees } })
        });
        Ok(json!({ "records": answers.collect::<Vec<_>>() }).to_string().into())
    }
}

impl LookupTransport for FakeVendor {
    fn post(&self, body: String, _: String) -> LocalBoxFuture<'_, Result<Bytes, Miss>> {
        self.answer(body).boxed_local()
    }
}
