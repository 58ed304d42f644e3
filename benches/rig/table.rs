//! What came out, as one table.

use super::contenders::Contender;

/// One proxy under load for a while.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// CPU time of the proxy for each request, in microseconds.
    pub(crate) micros: f64,
    /// Requests in a second.
    pub(crate) rate: f64,
    /// The part of the time that the proxy's core was at work for it. Well below one, the load was
    /// the bottleneck, and `rate` says little about the proxy.
    pub(crate) busy: f64,
}

/// A proxy and its samples, one from each round.
pub(crate) struct Row {
    pub(crate) contender: Contender,
    pub(crate) samples: Vec<Sample>,
}

impl Row {
    fn micros(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.micros))
    }

    fn least(&self) -> f64 {
        self.samples.iter().map(|sample| sample.micros).fold(f64::INFINITY, f64::min)
    }

    fn line(&self, first: &Self) -> String {
        let (micros, least) = (self.micros(), self.least());
        let (ratio, of_least) = (micros / first.micros(), least / first.least());
        let rate = median(self.samples.iter().map(|sample| sample.rate));
        let busy = median(self.samples.iter().map(|sample| sample.busy)) * 100.0;
        let name = self.contender.name;
        format!(
            "{name:<32}{micros:>12.1}{ratio:>8.2}{least:>9.1}{of_least:>8.2}{rate:>13.0}{busy:>7.0} %"
        )
    }

    fn verdict(&self, all: &[Self]) -> Option<String> {
        let (most, measure) = self.contender.aim?;
        let other = all.iter().find(|row| row.contender.name == measure)?;
        let ratio = self.micros() / other.micros();
        let verdict = if ratio <= most { "met" } else { "missed" };
        let name = self.contender.name;
        Some(format!("aim: {name} at most {most:.2} x {measure}: {verdict}, {ratio:.2}"))
    }
}

/// Medians over the rounds and the least, and how they compare with the first row's.
pub(crate) fn print(rows: &[Row]) {
    let Some(first) = rows.first() else { return };
    let heads = ("CPU µs each", "ratio", "least", "ratio", "requests/s", "busy");
    let (micros, ratio, least, of_least, rate, busy) = heads;
    println!("\n{:<32}{micros:>12}{ratio:>8}{least:>9}{of_least:>8}{rate:>13}{busy:>9}", "");
    for row in rows {
        println!("{}", row.line(first));
    }
    println!();
    for verdict in rows.iter().filter_map(|row| row.verdict(rows)) {
        println!("{verdict}");
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
