//! Steps: a piece of work as the traces of all that asked for it have it.
//!
//! A batch is worked on once and belongs to many traces. One of them leads: it has the step with all that happens in it. In
//! each other trace that is told there is a span of the same time which links to the leading one, so that it goes from event to
//! write as well.
//!
//! Here: which trace leads, and the spans of a step. Not here: IDs (`trace`), fields (`spans`).

use std::collections::BTreeSet;

use tracing::{Instrument as _, Span};

use super::{Cause, Sampling, TraceContext, TraceId, spans};
use crate::{clock::Clock, queue_entry::Origin, trace::spans::About};

/// Traces that a step is told in, beside the leading one.
const OTHERS_MAX: usize = 32;
/// What asked for a batch is looked at up to here, while traces are told.
pub(crate) const CAUSES_MAX: usize = 1_000;
/// Correlation IDs that are told of a batch.
const CORRELATION_IDS_MAX: usize = 5;

/// The traces of what is worked on together.
#[derive(Clone, Debug)]
pub(crate) struct Traces {
    /// Root of the trace that leads.
    lead: TraceContext,
    /// Roots of others that are told.
    others: Vec<TraceContext>,
    /// Each once.
    correlation_ids: Vec<String>,
    /// There are more of these.
    more_correlation_ids: bool,
}

impl Traces {
    /// Of work that was asked for so. The first of them that is told leads, else the first.
    pub(crate) fn of<'a>(org: &str, sampling: Sampling, causes: impl IntoIterator<Item = Cause<'a>>) -> Self {
        let mut traces = Self::unasked(org);
        let (mut known, mut first) = (BTreeSet::<TraceId>::new(), true);
        let (mut last, mut looked_at) = (None, 0);
        for cause in causes {
            // Records of one event come together.
            if last == Some((cause.origin, cause.event_id)) {
                continue;
            }
            last = Some((cause.origin, cause.event_id));
            traces.add_correlation(cause.correlation_id);
            looked_at += 1;
            if looked_at > CAUSES_MAX || !(first || sampling.is_on()) {
                continue;
            }
            let root = TraceContext::root(org, cause, sampling);
            let new = known.insert(root.trace);
            if std::mem::take(&mut first) || root.sampled && !traces.lead.sampled {
                traces.lead = root;
            } else if new && root.sampled && traces.others.len() < OTHERS_MAX {
                traces.others.push(root);
            }
        }
        traces
    }

    /// Of work that nobody asked for.
    pub(crate) fn unasked(org: &str) -> Self {
        let cause = Cause { origin: Origin::Live, event_id: "", correlation_id: None };
        Self {
            lead: TraceContext::root(org, cause, Sampling::NONE),
            others: Vec::new(),
            correlation_ids: Vec::new(),
            more_correlation_ids: false,
        }
    }

    fn add_correlation(&mut self, id: Option<&str>) {
        let Some(id) = id.filter(|id| !self.correlation_ids.iter().any(|known| known == id)) else { return };
        if self.correlation_ids.len() < CORRELATION_IDS_MAX {
            self.correlation_ids.push(id.to_owned());
        } else {
            self.more_correlation_ids = true;
        }
    }

    /// The events' correlation IDs, with commas between; none if there are none or too many.
    pub(crate) fn correlation_id(&self) -> Option<String> {
        let told = !self.correlation_ids.is_empty() && !self.more_correlation_ids;
        told.then(|| self.correlation_ids.join(","))
    }

    /// A step begins.
    pub(crate) fn step(&self, clock: Clock, about: About<'_>) -> StepSpan {
        let context = self.lead.child(clock);
        let correlation_id = self.correlation_id();
        let links = (!self.others.is_empty()).then(|| {
            let links: Vec<String> =
                self.others.iter().map(|one| format!("{}-{}", one.trace, one.span)).collect();
            links.join(",")
        });
        let span = spans::step(about, self.lead, context, correlation_id.as_deref(), links.as_deref());
        let link = format!("{}-{}", context.trace, context.span);
        let others =
            self.others.iter().map(|root| spans::step(about, *root, root.child(clock), None, Some(&link)));
        StepSpan { context, correlation_id, span, others: others.collect() }
    }
}

/// A step under way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct StepSpan {
    /// Its place in the trace that leads.
    pub context: TraceContext,
    /// Of the events that asked for it, with commas between.
    pub correlation_id: Option<String>,
    span: Span,
    /// The same in other traces.
    others: Vec<Span>,
}

impl StepSpan {
    /// Does the work of the step, or a part of it.
    pub(crate) async fn work<T>(&self, work: impl Future<Output = T>) -> T {
        work.instrument(self.span.clone()).await
    }

    /// The same for work that may fail; `class` tells of an error what kind it is of.
    pub(crate) async fn try_work<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
        class: impl FnOnce(&E) -> &'static str,
    ) -> Result<T, E> {
        let done = self.work(work).await;
        if let Err(error) = &done {
            let class = class(error);
            for span in self.others.iter().chain([&self.span]) {
                spans::failed(span, class);
            }
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces(sampling: Sampling, events: &[(&str, Option<&str>)]) -> Traces {
        Traces::of(
            "acme",
            sampling,
            events.iter().map(|(event_id, correlation_id)| Cause {
                origin: Origin::Live,
                event_id,
                correlation_id: *correlation_id,
            }),
        )
    }

    fn root(event_id: &str, sampling: Sampling) -> TraceContext {
        let cause = Cause { origin: Origin::Live, event_id, correlation_id: None };
        TraceContext::root("acme", cause, sampling)
    }

    #[test]
    fn the_first_trace_that_is_told_leads_and_the_others_that_are_told_are_linked() {
        let all = Sampling::ratio(1.0);
        let three = traces(all, &[("a", None), ("a", None), ("b", None), ("c", None), ("b", None)]);
        assert_eq!(three.lead, root("a", all));
        assert_eq!(three.others, [root("b", all), root("c", all)]);

        // Some of a hundred are told, and the first of those leads.
        let some = Sampling::ratio(0.2);
        let ids: Vec<String> = (0..100).map(|n: u32| n.to_string()).collect();
        let events: Vec<(&str, Option<&str>)> = ids.iter().map(|id| (id.as_str(), None)).collect();
        let hundred = traces(some, &events);
        let told: Vec<TraceContext> =
            ids.iter().map(|id| root(id, some)).filter(|root| root.sampled).collect();
        assert!(told.len() > 5 && told.len() < 40, "{}", told.len());
        assert_eq!(hundred.lead, told[0]);
        assert_eq!(hundred.others, told[1..told.len().min(OTHERS_MAX + 1)]);

        let none = traces(Sampling::NONE, &[("a", None), ("b", None)]);
        assert_eq!((none.lead, none.others.len()), (root("a", Sampling::NONE), 0));
        assert!(!none.lead.sampled);
    }

    #[test]
    fn many_traces_are_bounded() {
        let ids: Vec<String> = (0..2 * CAUSES_MAX).map(|n| n.to_string()).collect();
        let events: Vec<(&str, Option<&str>)> =
            ids.iter().map(|id| (id.as_str(), Some(id.as_str()))).collect();
        let many = traces(Sampling::ratio(1.0), &events);
        assert_eq!(many.others.len(), OTHERS_MAX);
        assert_eq!(many.correlation_ids.len(), CORRELATION_IDS_MAX);
        assert_eq!(many.correlation_id(), None, "some of many would be taken for all");
    }

    #[test]
    fn correlation_ids_are_told_each_once() {
        let two =
            traces(Sampling::NONE, &[("a", Some("x")), ("b", Some("y")), ("c", Some("x")), ("d", None)]);
        assert_eq!(two.correlation_id().as_deref(), Some("x,y"));
        assert_eq!(traces(Sampling::NONE, &[("a", None)]).correlation_id(), None);
        assert_eq!(Traces::unasked("acme").correlation_id(), None);
    }
}
