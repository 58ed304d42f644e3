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

    fn line(&self, baseline: f64) -> String {
        let micros = self.micros();
        let least = self.samples.iter().map(|sample| sample.micros).fold(f64::INFINITY, f64::min);
        let rate = median(self.samples.iter().map(|sample| sample.rate));
        let busy = median(self.samples.iter().map(|sample| sample.busy)) * 100.0;
        let ratio = micros / baseline;
        let name = self.contender.name;
        format!("{name:<26}{micros:>12.1}{least:>9.1}{ratio:>9.2}{rate:>14.0}{busy:>8.0} %")
    }

    fn verdict(&self, baseline: f64, name: &str) -> Option<String> {
        let most = self.contender.aim?;
        let ratio = self.micros() / baseline;
        let verdict = if ratio <= most { "met" } else { "missed" };
        let own = self.contender.name;
        Some(format!("aim: {own} at most {most:.2} x {name}: {verdict}, {ratio:.2}"))
    }
}

/// Medians over the rounds, and how they compare with the first row's.
pub(crate) fn print(rows: &[Row]) {
    let Some(first) = rows.first() else { return };
    let baseline = first.micros();
    println!(
        "\n{:<26}{:>12}{:>9}{:>9}{:>14}{:>10}",
        "", "CPU µs each", "least", "ratio", "requests/s", "busy"
    );
    for row in rows {
        println!("{}", row.line(baseline));
    }
    println!();
    for verdict in rows.iter().filter_map(|row| row.verdict(baseline, first.contender.name)) {
        println!("{verdict}");
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
