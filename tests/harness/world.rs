//! Starts the proxy in a process of its own, and everything around it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::{Issuer, Response, Upstream, Wire};

/// The proxy under test and its surroundings.
pub(crate) struct World {
    pub(crate) issuer: Issuer,
    pub(crate) upstream: Upstream,
    pub(crate) gateway: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) proxy: Process,
    pub(crate) log: Receiver<String>,
    /// The configuration's file.
    pub(crate) path: PathBuf,
    _directory: TempDir,
}

/// The proxy's own command.
pub(crate) fn postern() -> Command {
    Command::new(env!("CARGO_BIN_EXE_postern"))
}

/// The backend's own command: built beside the proxy.
pub(crate) fn backend() -> Command {
    Command::new(Path::new(env!("CARGO_BIN_EXE_postern")).with_file_name("mcp-backend"))
}

impl World {
    /// Plain HTTP, one issuer that is up, one required scope; ready.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// The same, with further settings at the end of the file.
    pub(crate) fn with(settings: &str) -> Self {
        let world = Self::unready(Issuer::start(), settings);
        wait_until("the proxy is ready", || world.is_ready());
        world
    }

    /// One issuer that is up, with further settings of its own.
    pub(crate) fn trusting(settings: &str) -> Self {
        let issuer = Issuer::start();
        let entry = format!("issuers: [{{issuer: '{}', {settings}}}]", issuer.url());
        let world = Self::unready(issuer, &entry);
        wait_until("the proxy is ready", || world.is_ready());
        world
    }

    /// Not waiting for the issuer's keys.
    pub(crate) fn unready(issuer: Issuer, settings: &str) -> Self {
        Self::run_by(postern(), issuer, settings)
    }

    /// On a machine whose names are in this file, and nowhere else.
    pub(crate) fn naming(hosts: &Path, settings: &str) -> Self {
        let mut inside = Command::new("unshare");
        // Its own view of the file system, which needs no rights of the user's.
        let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
        inside.args(["-rm", "sh", "-c", script]).arg(hosts).arg(postern().get_program());
        let world = Self::run_by(inside, Issuer::start(), settings);
        wait_until("the proxy is ready", || world.is_ready());
        world
    }

    /// Started by this command, which is given the arguments.
    pub(crate) fn run_by(mut proxy: Command, issuer: Issuer, settings: &str) -> Self {
        let upstream = Upstream::start();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("postern.yaml");
        fs::write(&path, configuration(&issuer, &upstream, settings)).unwrap();
        proxy.args(["run", "--config"]).arg(&path).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut proxy = Process(proxy.spawn().unwrap());
        let log = follow(&mut proxy.0);
        let [gateway, admin] = listening(&log);
        Self { issuer, upstream, gateway, admin, proxy, log, path, _directory: directory }
    }

    /// Writes another configuration, all at once, as a program that cares would.
    pub(crate) fn configure(&self, settings: &str) {
        let new = self.path.with_extension("new");
        fs::write(&new, configuration(&self.issuer, &self.upstream, settings)).unwrap();
        fs::rename(new, &self.path).unwrap();
    }

    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.gateway)
    }

    /// One request on a connection of its own.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        self.connect().request(method, path, headers, "")
    }

    pub(crate) fn call(&self, token: &str) -> Response {
        self.connect().call(token)
    }

    pub(crate) fn admin(&self, path: &str) -> Response {
        Wire::connect(self.admin).request("GET", path, &[], "")
    }

    /// The same for a client that calls the listener so.
    pub(crate) fn admin_as(&self, host: &str, path: &str) -> Response {
        let mut wire = Wire::connect(self.admin);
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        wire.response(false)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.admin("/readyz").status == 200
    }

    /// The value of a metric, by its name and labels as they are printed: the sum over those that have
    /// further ones.
    pub(crate) fn metric(&self, wanted: &str) -> f64 {
        let text = self.admin("/metrics").body;
        let (name, wanted) = parts(wanted);
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let series = series.filter_map(|line| line.rsplit_once(' '));
        let ours = series.filter(|(left, _)| {
            let (its, labels) = parts(left);
            its == name && wanted.iter().all(|label| labels.contains(label))
        });
        ours.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
    }

    /// The sum of a metric over all its labels.
    pub(crate) fn metric_in_all(&self, name: &str) -> f64 {
        let text = self.admin("/metrics").body;
        let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let of_it = lines.filter(|(left, _)| left.split('{').next() == Some(name));
        of_it.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
    }

    /// The next line of the log that has this in it.
    #[track_caller]
    pub(crate) fn log_line(&self, part: &str) -> String {
        loop {
            match self.log.recv_timeout(Duration::from_secs(20)) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => (),
                Err(error) => panic!("the log never had {part:?}: {error}"),
            }
        }
    }

    /// The challenge that names nothing but where to find out more.
    pub(crate) const PLAIN_CHALLENGE: &str = "Bearer resource_metadata=\
        \"https://mcp.example/.well-known/oauth-protected-resource/mcp\", scope=\"mcp:read\"";

    /// The same where clients are told of DPoP, or know of it.
    pub(crate) const WITH_DPOP: &str = "Bearer resource_metadata=\
        \"https://mcp.example/.well-known/oauth-protected-resource/mcp\", scope=\"mcp:read\", \
        DPoP algs=\"ES256 ES384 EdDSA Ed25519 PS256 RS256\", resource_metadata=\
        \"https://mcp.example/.well-known/oauth-protected-resource/mcp\", scope=\"mcp:read\"";

    /// The challenge for an error in the token.
    pub(crate) fn challenge(error: &str, description: &str) -> String {
        let error = format!("error=\"{error}\", error_description=\"{description}\"");
        Self::PLAIN_CHALLENGE.replacen("Bearer ", &format!("Bearer {error}, "), 1)
    }

    /// The same for a client that knows of DPoP.
    pub(crate) fn dpop_challenge(error: &str, description: &str) -> String {
        let error = format!("error=\"{error}\", error_description=\"{description}\"");
        let bearer = Self::WITH_DPOP.replacen("Bearer ", &format!("Bearer {error}, "), 1);
        bearer.replacen("DPoP algs", &format!("DPoP {error}, algs"), 1)
    }

    /// The challenge for an error in the proof.
    pub(crate) fn proof_challenge(error: &str, description: &str) -> String {
        let error = format!("error=\"{error}\", error_description=\"{description}\"");
        Self::WITH_DPOP.replacen("DPoP algs", &format!("DPoP {error}, algs"), 1)
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.proxy.0.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

/// A metric's name and its labels, none of which has a comma in it.
fn parts(series: &str) -> (&str, Vec<&str>) {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    (name, labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()).collect())
}

/// A process that does not outlive its test, however that ends.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, as some tests want.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A process that no test has started itself. It does not outlive the test either.
pub(crate) struct Stranger(pub(crate) u32);

impl Stranger {
    pub(crate) fn signal(&self, name: &str) {
        let killed = Command::new("kill").args([name, &self.0.to_string()]).output().unwrap();
        assert!(killed.status.success(), "{} has gone", self.0);
    }

    /// Whether it runs. One that nobody has asked how it ended does not.
    pub(crate) fn runs(&self) -> bool {
        let state = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        state
            .rsplit(')')
            .next()
            .is_some_and(|rest| !rest.trim().is_empty() && !rest.starts_with(" Z"))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // It may have ended by itself, as some tests want.
        drop(Command::new("kill").args(["-KILL", &self.0.to_string()]).output());
    }
}

/// The processes that this one has started, those that have ended and were not waited for among them.
pub(crate) fn children(process: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        entry.ok().and_then(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
    });
    let is_child = |child: &u32| {
        let state = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let after = state.rsplit(')').next().unwrap_or_default();
        after.split_whitespace().nth(1) == Some(&process.to_string())
    };
    all.filter(is_child).collect()
}

/// The line of the log that tells the addresses; the issuer's keys may be told of before it.
pub(crate) fn listening(log: &Receiver<String>) -> [SocketAddr; 2] {
    loop {
        let line = log.recv_timeout(Duration::from_secs(20)).expect("the proxy never listened");
        match serde_json::from_str::<Value>(&line) {
            Ok(line) if line["message"] == "listening" => {
                return ["gateway", "admin"]
                    .map(|key| line[key].as_str().unwrap().parse().unwrap());
            }
            Ok(_) => (),
            Err(_) if line.contains(" listening gateway=") => {
                let said = |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key));
                return ["gateway=", "admin="].map(|key| said(key).unwrap().parse().unwrap());
            }
            Err(_) if line.contains(" INFO ") => (),
            Err(error) => panic!("the proxy did not start: {line} ({error})"),
        }
    }
}

fn configuration(issuer: &Issuer, upstream: &Upstream, settings: &str) -> String {
    let defaults = [
        ("listen", "127.0.0.1:0"),
        ("tls", "off"),
        ("admin", "{listen: '127.0.0.1:0'}"),
        ("resource", "{url: https://mcp.example/mcp, scopes: [mcp:read]}"),
        ("issuers", &format!("[{{issuer: '{}'}}]", issuer.url())),
        ("upstream", &format!("{{address: '{}'}}", upstream.address())),
        ("log", "{format: json}"),
    ];
    let told = |key: &str| settings.lines().any(|line| line.starts_with(&format!("{key}:")));
    // Sites are told all together.
    let of_a_site = |key: &str| matches!(key, "resource" | "upstream") && told("sites");
    let untold = defaults.iter().filter(|(key, _)| !told(key) && !of_a_site(key));
    let mut lines: Vec<String> = untold.map(|(key, value)| format!("{key}: {value}")).collect();
    lines.push(settings.into());
    lines.join("\n")
}

/// Reads the proxy's log, so that it never waits for a reader.
pub(crate) fn follow(proxy: &mut Child) -> Receiver<String> {
    let stderr = BufReader::new(proxy.stderr.take().unwrap());
    let (tell, log) = channel();
    thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            // Nobody may be interested.
            drop(tell.send(line));
        }
    });
    log
}

/// Waits for a condition, and says which one never came.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::yield_now();
        thread::park_timeout(Duration::from_millis(5));
    }
}
