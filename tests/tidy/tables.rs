//! The layers of each crate from the bottom up: what may import what.
//!
//! A file that is new must be given a place here, and a place that is gone must be taken out.

use super::{
    layers::{ANY, Layer, layer},
    names::Exception,
};

/// One of our crates, and the rules for its inside.
#[derive(Debug)]
pub(crate) struct Crate {
    pub(crate) package: &'static str,
    /// Its source folder in the workspace.
    pub(crate) folder: &'static str,
    pub(crate) layers: &'static [Layer],
    /// Type names that may stand twice.
    pub(crate) exceptions: &'static [Exception],
}

pub(crate) const CRATES: &[Crate] = &[
    Crate { package: "orgpipe-actors", folder: "actors/src", layers: ACTORS, exceptions: &[] },
    Crate { package: "orgpipe-measure", folder: "crates/measure/src", layers: MEASURE, exceptions: &[] },
    Crate {
        package: "orgpipe-reconcile",
        folder: "crates/reconcile/src",
        layers: RECONCILE,
        exceptions: &[],
    },
    Crate {
        package: "orgpipe-salesforce",
        folder: "crates/salesforce/src",
        layers: SALESFORCE,
        exceptions: &[],
    },
    Crate {
        package: "orgpipe-simulator",
        folder: "crates/simulator/src",
        layers: SIMULATOR,
        exceptions: &[],
    },
    Crate { package: "orgpipe-store", folder: "crates/store/src", layers: STORE, exceptions: &[] },
    Crate { package: "orgpipe", folder: "src", layers: PROGRAM, exceptions: &[] },
    Crate { package: "xtask", folder: "xtask/src", layers: XTASK, exceptions: &[] },
];

/// `capture`, `decide` and `deliver` are the flow; none of them imports another.
const ACTORS: &[Layer] = &[
    layer(
        "leaves",
        &[
            "alert_kind",
            "audit_trail",
            "clock",
            "contract",
            "failpoint",
            "fingerprint",
            "history",
            "measure",
            "priority",
            "problem",
            "push",
            "queue_entry",
            "receipt",
            "retry",
            "sealing",
            "settings",
            "severity",
            "trace",
        ],
        &[],
    ),
    layer("runtime", &["runtime"], &["leaves"]),
    layer("vendor", &["vendor"], &["leaves", "runtime"]),
    layer("org", &["org"], &["leaves", "runtime", "vendor"]),
    layer("org/api", &["org/api"], &["leaves", "runtime", "vendor", "org"]),
    layer(
        "org as a whole",
        &["org/context", "org/describe", "org/select"],
        &["leaves", "runtime", "vendor", "org", "org/api"],
    ),
    layer("capture", &["capture"], BELOW_THE_FLOW),
    layer("decide", &["decide"], BELOW_THE_FLOW),
    layer("deliver", &["deliver"], BELOW_THE_FLOW),
    layer(
        "supervise",
        &["supervise"],
        &["leaves", "runtime", "vendor", "org", "org/api", "org as a whole", "capture", "decide", "deliver"],
    ),
    layer(
        "top",
        &[
            "alerts",
            "check",
            "dead_letters",
            "doctor",
            "explain",
            "forecast",
            "key_rotation",
            "lib",
            "preview",
            "service",
        ],
        &[ANY],
    ),
];

const BELOW_THE_FLOW: &[&str] = &["leaves", "runtime", "vendor", "org", "org/api", "org as a whole"];

const MEASURE: &[Layer] =
    &[layer("instruments", &["histogram", "stopwatch"], &[]), layer("crate", &["lib"], &[ANY])];

const RECONCILE: &[Layer] = &[
    layer(
        "values",
        &["compound", "id", "long_numbers", "name", "number", "operation", "route", "row", "system"],
        &[],
    ),
    layer("lists", &["id_list"], &["values"]),
    layer("org", &["column", "describe", "identity", "matching"], &["values"]),
    layer("expression", &["expression"], &["values"]),
    layer("mapped value", &["value"], &["values", "expression"]),
    layer("mapping", &["mapping"], &["values", "mapped value"]),
    layer("requests", &["change", "event", "lookup"], &["values", "lists", "mapping"]),
    layer("plan", &["plan"], &["values", "expression", "mapped value", "mapping"]),
    layer(
        "comparison",
        &["diff", "drift", "fit", "stored"],
        &["values", "org", "expression", "mapped value", "mapping", "plan"],
    ),
    layer("crate", &["lib"], &[ANY]),
];

/// `cometd` stands alone but for texts: it is the protocol as a pure step. Only `http` opens sockets.
const SALESFORCE: &[Layer] = &[
    layer("crate", &["lib"], &[]),
    layer("limits", &["limits"], &[]),
    layer("mend", &["mend", "text"], &[]),
    layer("soql", &["soql"], &["limits"]),
    layer("cometd", &["cometd"], &["mend"]),
    layer("call", &["call", "error"], &["limits", "mend"]),
    layer("login", &["oauth"], &["limits", "mend", "call"]),
    layer("failure", &["failure"], &["mend", "call", "login"]),
    layer("bulk", &["bulk"], &["crate", "limits", "call", "failure"]),
    layer("rest", &["rest"], &["crate", "limits", "call", "failure"]),
    layer("http", &["http"], &["limits", "cometd", "call", "login", "failure"]),
];

const SIMULATOR: &[Layer] = &[
    layer("leaves", &["clock", "csv", "log", "quota", "row"], &[]),
    layer("data", &["data"], &["leaves"]),
    layer("soql", &["soql"], &["leaves", "data"]),
    layer("faults", &["faults"], &["leaves", "data"]),
    layer("rights", &["options", "rights"], &["leaves", "data"]),
    layer("cometd", &["cometd"], &["leaves"]),
    layer("org", &["org"], &["leaves", "data", "faults", "rights", "cometd"]),
    layer("answer", &["answer"], &["leaves", "data", "soql"]),
    layer("api", &["api"], &["leaves", "data", "soql", "faults", "rights", "org", "answer"]),
    layer("oauth", &["oauth"], &["leaves", "data", "rights", "org", "answer"]),
    layer("handle", &["handle"], &["leaves", "data", "faults", "rights", "cometd", "org"]),
    layer("vendor", &["vendor"], &["leaves", "data", "faults"]),
    layer("control", &["control"], &["leaves", "data", "faults", "cometd", "handle", "vendor"]),
    layer("top", &["lib", "server"], &[ANY]),
];

/// `offline` works on a directory that no service has open; it goes around the engine.
const STORE: &[Layer] = &[
    layer(
        "commands",
        &[
            "commands",
            "commits",
            "dead_letter",
            "error",
            "ledger",
            "options",
            "reads",
            "refusal",
            "seq",
            "unix_ms",
        ],
        &[],
    ),
    layer("bytes", &["entry", "frame", "keys", "sizes", "step"], &["commands"]),
    layer("disk", &["disk", "files", "memory", "superblock"], &["commands", "bytes"]),
    layer(
        "org",
        &[
            "append",
            "egress",
            "fingerprints",
            "history",
            "letters",
            "org",
            "pushes",
            "registry",
            "resolve",
            "rows",
            "settle",
        ],
        &["commands", "bytes"],
    ),
    layer("index", &["index"], &["commands", "bytes", "disk", "org"]),
    layer("engine", &["engine", "queries"], &["commands", "bytes", "disk", "org", "index"]),
    layer("thread", &["thread"], &["commands", "engine"]),
    layer("offline", &["offline"], &["commands", "bytes", "disk", "org", "index"]),
    layer("handle", &["store"], &["commands", "disk", "engine", "thread"]),
    layer("crate", &["lib"], &["commands", "handle"]),
];

const PROGRAM: &[Layer] = &[
    layer("config", &["config"], &[]),
    layer("effective", &["effective"], &[]),
    layer("traces", &["traces"], &["config"]),
    layer("in force", &["in_force"], &["config"]),
    layer("words", &["admin/names"], &[]),
    layer("audit", &["audit_log"], &[]),
    layer("dashboard", &["dashboard"], &["effective", "words", "audit"]),
    layer("connect", &["connect"], &["config", "in force", "dashboard"]),
    layer(
        "admin",
        &["admin"],
        &["config", "effective", "traces", "in force", "words", "audit", "dashboard", "connect"],
    ),
    layer("command line", &["cli"], &["admin"]),
    layer("terminal", &["output", "telemetry", "transcript"], &["config", "traces", "command line"]),
    layer(
        "commands",
        &["commands"],
        &["config", "effective", "traces", "in force", "words", "audit", "admin", "command line", "terminal"],
    ),
    layer("crate", &["main"], &[ANY]),
];

const XTASK: &[Layer] = &[
    layer("step", &["step"], &[]),
    layer("checks", &["deny", "leaks", "vendor"], &["step"]),
    layer("crate", &["main"], &[ANY]),
];
