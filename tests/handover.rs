//! Another process takes our place: nobody is turned away meanwhile, and what cannot take it changes nothing.

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::deploy::tool;
use crate::harness::{Issuer, Process, Stranger, Wire, World, children, postern, wait_until};

/// A binary under two names, and the name that leads to one of them, as a package manager would have it.
struct Installed {
    room: TempDir,
}

impl Installed {
    fn new() -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_postern"));
        let room = tempfile::tempdir_in(binary.parent().unwrap()).unwrap();
        for name in ["first", "second"] {
            fs::hard_link(binary, room.path().join(name)).unwrap();
        }
        let installed = Self { room };
        installed.choose("first");
        installed
    }

    fn choose(&self, name: &str) {
        let new = self.room.path().join("new");
        symlink(name, &new).unwrap();
        fs::rename(new, self.path()).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.room.path().join("postern")
    }

    /// Which of them a process runs.
    fn of(process: u32) -> String {
        let binary = fs::read_link(format!("/proc/{process}/exe")).unwrap();
        binary.file_name().unwrap().to_str().unwrap().to_owned()
    }
}

fn ready(world: World) -> World {
    wait_until("the proxy is ready", || world.is_ready());
    world
}

/// Waits until the log says that another process has taken over.
#[track_caller]
fn successor(world: &World) -> Stranger {
    let line: Value = serde_json::from_str(&world.log_line("a successor serves")).unwrap();
    Stranger(u32::try_from(line["process"].as_u64().unwrap()).unwrap())
}

#[track_caller]
fn exit_code(world: &mut World) -> Option<i32> {
    wait_until("it has stopped", || world.proxy.0.try_wait().unwrap().is_some());
    world.proxy.0.wait().unwrap().code()
}

#[test]
fn whatever_binary_is_there_takes_over_and_streams_go_on() {
    let installed = Installed::new();
    let mut world = ready(World::run_by(Command::new(installed.path()), Issuer::start(), ""));
    let token = world.issuer.token();
    let mut stream = world.connect();
    stream.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {token}\r\n\
         x-answer: stream\r\n\r\n"
    ));
    assert!(stream.head().starts_with("HTTP/1.1 200"));
    installed.choose("second");
    world.signal("-USR2");
    let heir = successor(&world);
    assert_eq!(Installed::of(world.proxy.0.id()), "first");
    assert_eq!(Installed::of(heir.0), "second");
    // At the same addresses, though the configuration says "any port".
    assert_eq!(world.call(&token).status, 200);
    assert!(world.is_ready());
    world.upstream.say("after");
    assert_eq!(stream.event(), "data: after");
    assert!(world.proxy.0.try_wait().unwrap().is_none(), "it has a stream to look after");
    world.upstream.say("");
    assert!(stream.stream_ends());
    assert_eq!(exit_code(&mut world), Some(0));

    // It can be succeeded as well.
    installed.choose("first");
    heir.signal("-USR2");
    let third = successor(&world);
    assert_eq!(Installed::of(third.0), "first");
    wait_until("the second has gone", || !heir.runs());
    assert_eq!(world.call(&token).status, 200);
    third.signal("-TERM");
    wait_until("the third has gone", || !third.runs());
}

#[test]
fn one_that_cannot_start_changes_nothing_and_is_told_of() {
    let mut world = World::start();
    let token = world.issuer.token();
    let good = fs::read(&world.path).unwrap();
    fs::write(&world.path, "colour: red").unwrap();
    world.signal("-USR2");
    let line = world.log_line("no successor");
    assert!(line.contains("exit status: 78") && line.contains("goes on"), "{line}");
    assert!((world.metric("postern_upgrades_failed_total") - 1.0).abs() < f64::EPSILON);
    assert!(world.is_ready());
    assert_eq!(world.call(&token).status, 200);
    fs::write(&world.path, good).unwrap();
    world.signal("-USR2");
    let heir = successor(&world);
    assert_eq!(exit_code(&mut world), Some(0));
    assert_eq!(world.call(&token).status, 200);
    assert!(world.metric("postern_upgrades_failed_total") < 0.5);
    drop(heir);
}

#[test]
fn one_that_cannot_judge_tokens_yet_takes_nothing_and_goes_with_us() {
    let mut world = World::start();
    let token = world.issuer.token();
    world.issuer.fail(500);
    world.signal("-USR2");
    world.log_line("keys not fetched");
    let trial = Stranger(children(world.proxy.0.id())[0]);
    for _ in 0..20 {
        assert_eq!(world.call(&token).status, 200, "whoever connects meets the one with keys");
    }
    assert!(trial.runs());
    world.signal("-TERM");
    assert_eq!(exit_code(&mut world), Some(0));
    wait_until("it has gone too", || !trial.runs());
}

#[test]
fn one_that_gets_its_keys_late_takes_over_then() {
    let mut world = World::start();
    world.issuer.fail(500);
    world.signal("-USR2");
    world.log_line("keys not fetched");
    world.issuer.recover();
    let _heir = successor(&world);
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    assert_eq!(exit_code(&mut world), Some(0));
}

#[test]
fn the_service_manager_hears_who_serves() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let hears = |what: &str| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let mut text = [0; 256];
            let length = manager.recv(&mut text).unwrap();
            if String::from_utf8_lossy(&text[..length]).lines().any(|line| line == what) {
                return;
            }
        }
        panic!("{what} never came");
    };
    let mut command = postern();
    command.env("NOTIFY_SOCKET", &path);
    let mut world = World::run_by(command, Issuer::start(), "");
    hears("READY=1");
    wait_until("the proxy is ready", || world.is_ready());
    world.signal("-USR2");
    let heir = successor(&world);
    hears(&format!("MAINPID={}", heir.0));
    assert_eq!(exit_code(&mut world), Some(0));
    heir.signal("-TERM");
    hears("STOPPING=1");
}

/// Where nobody listens by now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// systemd's own program for trying sockets out: it starts the command at the first connection.
fn activated(addresses: &[SocketAddr]) -> Command {
    let mut command = tool("systemd-socket-activate");
    command.env("SYSTEMD_LOG_LEVEL", "err");
    for address in addresses {
        command.args(["-l", &address.to_string()]);
    }
    command.arg(env!("CARGO_BIN_EXE_postern"));
    command
}

/// Who connects before there is a process is answered by it.
fn knock(address: SocketAddr) -> thread::JoinHandle<u16> {
    thread::spawn(move || {
        wait_until("it listens", || std::net::TcpStream::connect(address).is_ok());
        Wire::connect(address).request("GET", "/healthz", &[], "").status
    })
}

#[test]
fn sockets_of_systemd_are_taken_over() {
    let address = free();
    let knocked = knock(address);
    let settings = format!("listen: '{address}'");
    let mut world = ready(World::run_by(activated(&[address]), Issuer::start(), &settings));
    assert_eq!(world.gateway, address);
    assert_eq!(knocked.join().unwrap(), 200);
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    // And handed on, as they came.
    world.signal("-USR2");
    let _heir = successor(&world);
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    assert_eq!(exit_code(&mut world), Some(0));
}

#[test]
fn a_socket_that_no_setting_asks_for_is_a_mistake() {
    let [address, other, admin] = [free(), free(), free()];
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("postern.yaml");
    let settings = format!(
        "listen: '{address}'\ntls: off\nadmin: {{listen: '{admin}'}}\n\
         resource: {{url: https://mcp.example/mcp}}\nissuers: [{{issuer: https://nobody.example}}]\n\
         upstream: {{address: '127.0.0.1:9'}}"
    );
    fs::write(&path, settings).unwrap();
    let mut command = activated(&[address, other]);
    command.args(["run", "--config"]).arg(&path).stderr(Stdio::piped());
    let mut started = Process(command.spawn().unwrap());
    wait_until("it listens", || std::net::TcpStream::connect(address).is_ok());
    wait_until("it has ended", || started.0.try_wait().unwrap().is_some());
    let mut told = String::new();
    started.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(started.0.wait().unwrap().code(), Some(78), "{told}");
    assert!(told.contains(&format!("LISTEN_FDS: a socket at {other}")), "{told}");
}

/// Linux gives the first process of a container the children that others leave behind, and no signal that it
/// does not ask for.
#[test]
fn it_can_be_the_first_process() {
    let space = ["--user", "--map-root-user", "--pid", "--fork", "--kill-child"];
    let mut command = Command::new("unshare");
    let script = "(sleep 1000 &) ; exec \"$0\" \"$@\"";
    command.args(space).args(["sh", "-c", script, env!("CARGO_BIN_EXE_postern")]);
    let mut world = ready(World::run_by(command, Issuer::start(), ""));
    let first = Stranger(children(world.proxy.0.id())[0]);
    let orphans = children(first.0);
    assert_eq!(orphans.len(), 1, "the sleeper was given to it");
    Stranger(orphans[0]).signal("-KILL");
    wait_until("what has ended is gone for good", || children(first.0).is_empty());

    first.signal("-USR2");
    let line = world.log_line("no successor");
    assert!(line.contains("first process of a container"), "{line}");
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    first.signal("-TERM");
    assert_eq!(exit_code(&mut world), Some(0));
}
