//! Where the bench takes place: the backend, the tokens, and the proxies that came.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

use super::contenders::Contender;
use super::generator::{self, Kind, Tally};
use super::process::{Cores, Process, pinned};
use super::table::Sample;
use super::wire::Message;
use crate::tokens::Issuer;

/// What all measurements share.
pub(crate) struct Site {
    pub(crate) cores: Cores,
    pub(crate) backend: SocketAddr,
    directory: TempDir,
    token: String,
    connections: u32,
    _backend: Process,
}

impl Site {
    pub(crate) fn new(connections: u32) -> Result<Self, Box<dyn Error>> {
        let cores = Cores::choose()?;
        let directory = tempfile::tempdir()?;
        let issuer = Issuer::new()?;
        let tokens = issuer.rsa.tokens(TOKENS, SystemTime::now())?;
        fs::write(directory.path().join(JWKS), issuer.jwks())?;
        fs::write(directory.path().join(TOKENS_FILE), tokens.join("\n"))?;
        let mut command = part(cores.load, "backend")?;
        command.arg(directory.path().join(SOCKET));
        let mut process = Process::start(&mut command, directory.path().join("backend.log"))?;
        let backend = process.line()?.parse().map_err(|_| process.last_words())?;
        // Alone, before anybody stands in front of it.
        ask(backend, Kind::Usual, None)?;
        let token = tokens.into_iter().next().unwrap_or_default();
        Ok(Self { cores, backend, directory, token, connections, _backend: process })
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The backend's other address, as proxies spell it.
    pub(crate) fn unix_backend(&self) -> String {
        format!("unix:{}", self.directory().join(SOCKET).display())
    }

    pub(crate) fn describe(&self) -> String {
        format!(
            "{} connections, each call with one of {TOKENS} RS256 tokens of {} bytes; \
             the proxy on core {}, load and backend on core {}",
            self.connections,
            self.token.len(),
            self.cores.proxy,
            self.cores.load,
        )
    }

    /// Starts a contender and proves that it does its work; `None` if its program is absent.
    pub(crate) fn start(&self, contender: &Contender) -> Result<Option<Lane>, Box<dyn Error>> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let Some(mut command) = (contender.command)(self, address)? else { return Ok(None) };
        let log = self.directory().join(format!("{}.log", contender.name));
        let mut process = Process::start(&mut command, log)?;
        self.await_answer(address, contender.call, &mut process)?;
        if contender.authenticates {
            let status = ask(address, contender.call, None)?;
            if status != 401 {
                return Err(format!("a call without a token was answered with {status}").into());
            }
        }
        Ok(Some(Lane { address, call: contender.call, process }))
    }

    fn await_answer(
        &self,
        address: SocketAddr,
        call: Kind,
        process: &mut Process,
    ) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + START;
        loop {
            match ask(address, call, Some(&self.token)) {
                Ok(200) => return Ok(()),
                _ if process.has_ended() => return Err(process.last_words().into()),
                Ok(status) if Instant::now() > deadline => {
                    return Err(format!("a call was answered with {status}").into());
                }
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Ok(_) | Err(_) => sleep(POLL),
            }
        }
    }

    /// Loads one proxy, and no other, for a while.
    pub(crate) fn measure(
        &self,
        lane: &mut Lane,
        span: Duration,
    ) -> Result<Sample, Box<dyn Error>> {
        let mut load = part(self.cores.load, "generator")?;
        load.args([lane.address.to_string(), self.connections.to_string()]);
        load.args([&span.as_secs_f64().to_string(), lane.call.name()]);
        load.arg(self.directory().join(TOKENS_FILE));
        let before = lane.process.cpu()?;
        let output = load.output()?;
        let after = lane.process.cpu()?;
        if lane.process.has_ended() {
            return Err(format!("it ended half-way: {}", lane.process.last_words()).into());
        }
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim_end().into());
        }
        let tally: Tally = serde_json::from_slice(&output.stdout)?;
        let spent = after.saturating_sub(before);
        let requests = f64::from(tally.requests.max(1));
        Ok(Sample {
            micros: spent.as_secs_f64() * 1e6 / requests,
            rate: requests / tally.seconds,
            busy: spent.as_secs_f64() / tally.seconds,
        })
    }
}

/// One proxy, ready.
pub(crate) struct Lane {
    address: SocketAddr,
    call: Kind,
    process: Process,
}

/// This program again, in another part.
pub(crate) fn part(core: u32, name: &str) -> io::Result<Command> {
    let mut command = pinned(core, &env::current_exe()?);
    command.args(["part", name]);
    Ok(command)
}

/// One call on a connection of its own, and the status of its answer.
fn ask(address: SocketAddr, call: Kind, token: Option<&str>) -> io::Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(generator::call(call, token).as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => answer.extend_from_slice(piece.get(..bytes).unwrap_or_default()),
        }
        if let Some(status) = Message::status(&answer)? {
            return Ok(status);
        }
    }
}

/// Enough that no proxy gets by on remembering the last few.
const TOKENS: u32 = 500;
const TOKENS_FILE: &str = "tokens.txt";
const JWKS: &str = "jwks.json";
const SOCKET: &str = "backend.sock";

const START: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(2);
