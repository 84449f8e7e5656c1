//! What the system says of this process, under the names that every exporter uses.
//!
//! Here: reading `/proc/self`, where there is one. Not here: what the service says of itself (`service`).

use std::{fs, path::Path};

/// Ticks a second in `/proc/self/stat`: 100 on every architecture that Rust builds for (proc(5), `USER_HZ`).
const TICKS: f64 = 100.0;
/// Kilobytes in `/proc/self/status`.
const KB: u64 = 1_024;

/// The process at this moment; what the system does not tell is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_secs: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) fds: Option<u64>,
    pub(super) fds_max: Option<u64>,
    pub(super) threads: Option<u64>,
}

impl Process {
    /// Asks the system.
    pub(super) fn now() -> Self {
        let text = |name: &str| fs::read_to_string(Path::new("/proc/self").join(name)).unwrap_or_default();
        let fds = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64);
        Self { fds, ..Self::read(&text("status"), &text("stat"), &text("limits")) }
    }

    fn read(status: &str, stat: &str, limits: &str) -> Self {
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let first = |line: &str| line.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        // The name of the process stands in brackets and may hold spaces; user and system time are the 14th and 15th field.
        let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' '));
        let ticks: Option<Vec<f64>> =
            fields.map(|fields| fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect());
        Self {
            cpu_secs: ticks.filter(|ticks| ticks.len() == 2).map(|ticks| ticks.iter().sum::<f64>() / TICKS),
            resident_bytes: line("VmRSS:").and_then(first).map(|kb| kb * KB),
            virtual_bytes: line("VmSize:").and_then(first).map(|kb| kb * KB),
            fds: None,
            fds_max: limits.lines().find_map(|line| line.strip_prefix("Max open files")).and_then(first),
            threads: line("Threads:").and_then(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read_and_where_there_is_none_nothing_is_told() {
        let status = "Name:\torg pipe\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t7\n";
        let stat = "12 (org) pipe) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 7 0 99";
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024      4096      files\n";
        let process = Process::read(status, stat, limits);
        assert_eq!((process.resident_bytes, process.virtual_bytes), (Some(1 << 20), Some(2 << 20)));
        assert_eq!((process.cpu_secs, process.threads, process.fds_max), (Some(2.0), Some(7), Some(1_024)));
        assert_eq!(Process::read("", "", ""), Process::default());
    }
}
