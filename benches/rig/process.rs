//! Child processes, each on a core of its own choosing, and the CPU time they take.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the two sides of the bench run: what is measured shares its core with nothing of ours.
pub(crate) struct Cores {
    pub(crate) proxy: u32,
    pub(crate) load: u32,
}

impl Cores {
    /// The first two that we may use.
    pub(crate) fn choose() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let mut cores = allowed.unwrap_or_default().trim().split(',').flat_map(range);
        match (cores.next(), cores.next()) {
            (Some(proxy), Some(load)) => Ok(Self { proxy, load }),
            _ => Err(io::Error::other("it takes two cores: one for the proxy, one for the load")),
        }
    }
}

/// `2-5`, or `7`.
fn range(text: &str) -> RangeInclusive<u32> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    first.parse().unwrap_or(1)..=last.parse().unwrap_or(0)
}

/// `program`, to be run on one core, and [`bound`]. Both tools become the
/// program, and so keep its process id.
pub(crate) fn pinned(core: u32, program: &Path) -> Command {
    let mut command = bound("taskset".as_ref());
    command.arg("-c").arg(core.to_string()).arg(program);
    command
}

/// `program`, not to outlive us however we end.
pub(crate) fn bound(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// A child that ends with its owner.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it says on standard error goes to `log`.
    pub(crate) fn start(command: &mut Command, log: PathBuf) -> io::Result<Self> {
        let command =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let child = command.spawn().map_err(|error| {
            let program = command.get_program().display();
            io::Error::new(error.kind(), format!("{program}: {error}"))
        })?;
        Ok(Self { child, log })
    }

    /// The next line on its standard output.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if let Some(output) = self.child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        Ok(line.trim_end().to_owned())
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// What it said last.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().last().unwrap_or("it said nothing").to_owned()
    }

    /// Resident memory that is its own, in KiB.
    #[allow(dead_code, reason = "the other bench weighs them")]
    pub(crate) fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = resident.and_then(|text| text.split_whitespace().next()?.parse().ok());
        kib.ok_or_else(|| io::Error::other("/proc does not tell the memory"))
    }

    /// User and system time of all its threads so far.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name of the program comes second, in brackets, and may hold spaces.
        let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
        let ticks = |index| fields.split_whitespace().nth(index)?.parse::<u64>().ok();
        let (user, system) = (ticks(USER), ticks(SYSTEM));
        let ticks = user.zip(system).map(|(user, system)| user + system);
        let ticks = ticks.ok_or_else(|| io::Error::other("/proc does not tell the CPU time"))?;
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// proc(5): `utime` and `stime`, counted from the field after the program's name.
const USER: usize = 11;
const SYSTEM: usize = 12;
/// Fixed for what Linux shows to programs, whatever the kernel itself counts in.
const TICKS_PER_SECOND: u64 = 100;
