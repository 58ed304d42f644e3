//! What this process takes, under the names that all of Prometheus' clients use.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::Opts;
use prometheus::core::{Collector, Desc, Describer as _};
use prometheus::proto::{Counter, Gauge, Metric, MetricFamily, MetricType};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// Looked at when somebody asks. Where there is no `/proc`, what stands there is left out.
#[derive(Debug)]
pub(super) struct Process {
    descriptions: Vec<Desc>,
    /// Since 1970.
    started: f64,
}

impl Process {
    pub(super) fn new() -> prometheus::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the metric is a date; no request sees it")]
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let descriptions = METRICS.iter().map(|(name, help, _)| Opts::new(*name, *help).describe());
        Ok(Self {
            descriptions: descriptions.collect::<prometheus::Result<_>>()?,
            started: started.as_secs_f64(),
        })
    }

    fn value(&self, what: What, usage: Option<&Usage>) -> Option<f64> {
        match what {
            What::Processor => usage.map(|usage| usage.processor),
            What::Resident => usage.map(|usage| usage.resident),
            What::Virtual => usage.map(|usage| usage.virtual_bytes),
            What::Threads => usage.map(|usage| usage.threads),
            What::Files => fs::read_dir("/proc/self/fd").ok().map(|files| count(files.count())),
            What::MostFiles => getrlimit(Resource::Nofile).current.map(number),
            What::Started => Some(self.started),
        }
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let usage = fs::read_to_string("/proc/self/stat").ok();
        let usage = usage.as_deref().and_then(Usage::read);
        let families = METRICS.iter().filter_map(|(name, help, what)| {
            Some(family(name, help, *what, self.value(*what, usage.as_ref())?))
        });
        families.collect()
    }
}

fn family(name: &str, help: &str, what: What, value: f64) -> MetricFamily {
    let (mut metric, mut family) = (Metric::default(), MetricFamily::default());
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    if matches!(what, What::Processor) {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
        family.set_field_type(MetricType::COUNTER);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
        family.set_field_type(MetricType::GAUGE);
    }
    family.set_metric(vec![metric]);
    family
}

/// What the system counts of a process: `/proc/self/stat`, proc(5).
struct Usage {
    processor: f64,
    resident: f64,
    virtual_bytes: f64,
    threads: f64,
}

impl Usage {
    fn read(stat: &str) -> Option<Self> {
        // The program's name, in brackets, may have anything in it.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // The first of them is the third there is.
        let field = |nth: usize| fields.get(nth.checked_sub(3)?)?.parse().ok().map(number);
        Some(Self {
            processor: (field(14)? + field(15)?) / number(clock_ticks_per_second()),
            threads: field(20)?,
            virtual_bytes: field(23)?,
            resident: field(24)? * count(page_size()),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "all that a sample can hold")]
fn number(whole: u64) -> f64 {
    whole as f64
}

fn count(whole: usize) -> f64 {
    number(u64::try_from(whole).unwrap_or(u64::MAX))
}

#[derive(Clone, Copy, Debug)]
enum What {
    Processor,
    Files,
    MostFiles,
    Virtual,
    Resident,
    Started,
    Threads,
}

const METRICS: [(&str, &str, What); 7] = [
    (
        "process_cpu_seconds_total",
        "Processor time that was used, the system's on our behalf included.",
        What::Processor,
    ),
    ("process_open_fds", "Files that are open, sockets among them.", What::Files),
    ("process_max_fds", "Files that may be open.", What::MostFiles),
    ("process_virtual_memory_bytes", "Address space that is mapped.", What::Virtual),
    ("process_resident_memory_bytes", "Memory that is held.", What::Resident),
    ("process_start_time_seconds", "When the process started, since 1970.", What::Started),
    ("process_threads", "Threads of the operating system.", What::Threads),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_shifts_nothing() {
        let stat = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 250 150 13 14 15 16 7 18 19 4096 3 99";
        let usage = Usage::read(stat).unwrap();
        let ticks = number(clock_ticks_per_second());
        assert!((usage.processor - 400.0 / ticks).abs() < f64::EPSILON);
        assert!((usage.threads - 7.0).abs() < f64::EPSILON);
        assert!((usage.virtual_bytes - 4096.0).abs() < f64::EPSILON);
        assert!((usage.resident - 3.0 * count(page_size())).abs() < f64::EPSILON);
        assert!(Usage::read("").is_none() && Usage::read("1 (a) S 1").is_none());
    }
}
