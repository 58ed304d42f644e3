//! Other proxies in front of a gateway, with the files of the guides: other ports, nothing else.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use super::{fails, passes, read, tool};
use crate::harness::{Identity, Process, World, wait_until};

/// A proxy at work in front of a gateway.
struct Front {
    world: World,
    identity: Identity,
    address: SocketAddr,
    _process: Process,
    _directory: TempDir,
    _seat: Socket,
}

/// Where files lie, and which ports they name.
struct Place<'p> {
    directory: &'p Path,
    identity: &'p Identity,
    front: u16,
    gateway: u16,
}

type Written = fn(&Place<'_>) -> Vec<Command>;

impl Front {
    /// `write` puts the guide's file down, and says how to check it and how to run it.
    fn start(client_from: &str, write: Written) -> Self {
        let (identity, directory) = (Identity::new(), tempfile::tempdir().unwrap());
        let world = World::with(&format!(
            "trusted_proxies: {{networks: [127.0.0.0/8], client_from: {client_from}}}"
        ));
        // Bound and not listening: nobody gets this port but who asks for it by number.
        let seat = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        seat.set_reuse_address(true).unwrap();
        seat.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let address = seat.local_addr().unwrap().as_socket().unwrap();
        let (front, gateway) = (address.port(), world.gateway.port());
        let place = Place { directory: directory.path(), identity: &identity, front, gateway };
        let mut commands = write(&place);
        let mut run = commands.pop().unwrap();
        for check in &mut commands {
            passes(check);
        }
        let log = fs::File::create(directory.path().join("log")).unwrap();
        run.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = Process(run.spawn().unwrap());
        wait_until("the proxy listens", || std::net::TcpStream::connect(address).is_ok());
        let front = Self {
            world,
            identity,
            address,
            _process: process,
            _directory: directory,
            _seat: seat,
        };
        wait_until("it finds the gateway", || {
            front.identity.connect(front.address).request("GET", "/healthz", &[], "").status == 200
        });
        front
    }

    /// Metadata, a call whose client's address nobody can forge, and events one by one.
    fn serves(&self) {
        let metadata = "/.well-known/oauth-protected-resource/mcp";
        let mut wire = self.identity.connect(self.address);
        assert_eq!(wire.request("GET", metadata, &[], "").status, 200);
        let mut wire = self.identity.connect(self.address);
        assert_eq!(wire.request("POST", "/mcp", &[], "{}").status, 401);
        let token = format!("Bearer {}", self.world.issuer.token());
        let forged = ("X-Forwarded-For", "203.0.113.9");
        let mut wire = self.identity.connect(self.address);
        let headers = [("Authorization", &*token), forged];
        assert_eq!(wire.request("POST", "/mcp", &headers, "{}").status, 200);
        // Envoy gives the machine's own address for loopback.
        let seen = self.world.upstream.next();
        let [address] = seen.values("x-forwarded-for")[..] else { panic!("{}", seen.head) };
        assert_ne!(address, "203.0.113.9");

        let mut wire = self.identity.connect(self.address);
        wire.send(format!(
            "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: {token}\r\nX-Answer: stream\r\n\r\n"
        ));
        self.world.upstream.next();
        // Each is here before the next is said.
        for event in ["one", "two", "three"] {
            self.world.upstream.say(event);
            if event == "one" {
                assert!(wire.head().starts_with("HTTP/1.1 200"));
            }
            assert!(wire.event().contains(event));
        }
    }
}

impl Place<'_> {
    /// The guide's file with this machine's ports and certificate.
    fn write(&self, guide: &str, changes: &[(&str, String)]) -> std::path::PathBuf {
        let mut text = read(&format!("guides/{guide}")).replace("mcp.example.com", "mcp.example");
        for (written, here) in changes {
            assert!(text.contains(written), "{guide}: {written}");
            text = text.replace(written, here);
        }
        let path = self.directory.join(guide);
        fs::write(&path, text).unwrap();
        path
    }

    fn chain(&self) -> String {
        self.identity.certificate.chain.display().to_string()
    }

    fn key(&self) -> String {
        self.identity.certificate.key.display().to_string()
    }
}

fn envoy(place: &Place<'_>) -> Vec<Command> {
    let path = place.write(
        "envoy.yaml",
        &[
            (
                "address: 0.0.0.0, port_value: 443",
                format!("address: 127.0.0.1, port_value: {}", place.front),
            ),
            ("port_value: 8443", format!("port_value: {}", place.gateway)),
            ("/etc/envoy/tls/tls.crt", place.chain()),
            ("/etc/envoy/tls/tls.key", place.key()),
        ],
    );
    let command = |mode: &str| {
        let mut command = tool("envoy");
        command.arg("-c").arg(&path).args(["--mode", mode, "--concurrency", "1", "-l", "warn"]);
        command.arg("--disable-hot-restart");
        command
    };
    vec![command("validate"), command("serve")]
}

fn nginx(place: &Place<'_>) -> Vec<Command> {
    let path = place.write(
        "nginx.conf",
        &[
            ("listen 443", format!("listen 127.0.0.1:{}", place.front)),
            ("127.0.0.1:8443", format!("127.0.0.1:{}", place.gateway)),
            ("/etc/nginx/tls/tls.crt", place.chain()),
            ("/etc/nginx/tls/tls.key", place.key()),
        ],
    );
    // Where it may write: what distributions build in is root's.
    let below = |name: &str| place.directory.join(name).display().to_string();
    let mut text = fs::read_to_string(&path).unwrap();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {};\n", below(kind)))
        .concat();
    text = text.replace("http {\n", &format!("http {{\n{temporary}"));
    fs::write(&path, text).unwrap();
    let command = |further: &[&str]| {
        let mut command = tool("nginx");
        let globals = format!("daemon off; pid {}; error_log stderr;", below("pid"));
        command.arg("-p").arg(place.directory).arg("-c").arg(&path).args(["-g", &globals]);
        command.args(["-e", "stderr"]).args(further);
        command
    };
    vec![command(&["-t"]), command(&[])]
}

fn haproxy(place: &Place<'_>) -> Vec<Command> {
    let both = place.directory.join("tls.pem");
    let parts = [&place.identity.certificate.chain, &place.identity.certificate.key];
    fs::write(&both, parts.map(|part| fs::read_to_string(part).unwrap()).concat()).unwrap();
    let path = place.write(
        "haproxy.cfg",
        &[
            ("bind :443", format!("bind 127.0.0.1:{}", place.front)),
            ("127.0.0.1:8443", format!("127.0.0.1:{}", place.gateway)),
            ("/etc/haproxy/tls.pem", both.display().to_string()),
        ],
    );
    let command = |further: &[&str]| {
        let mut command = tool("haproxy");
        command.arg("-f").arg(&path).args(further);
        command
    };
    vec![command(&["-c", "-q"]), command(&["-db"])]
}

#[test]
fn envoy_in_front() {
    Front::start("x-forwarded-for", envoy).serves();
}

#[test]
fn nginx_in_front() {
    Front::start("x-forwarded-for", nginx).serves();
}

#[test]
fn haproxy_in_front() {
    Front::start("proxy-protocol", haproxy).serves();
}

#[test]
fn the_programs_would_complain() {
    let directory = tempfile::tempdir().unwrap();
    let spoilt = |guide: &str, written: &str| {
        let path = directory.path().join(guide);
        let text = read(&format!("guides/{guide}"));
        assert!(text.contains(written));
        fs::write(&path, text.replacen(written, "nonsense", 1)).unwrap();
        path
    };
    let envoy = spoilt("envoy.yaml", "stream_idle_timeout");
    fails(tool("envoy").args(["--mode", "validate", "-l", "off", "-c"]).arg(envoy));
    fails(
        tool("nginx")
            .args(["-t", "-e", "stderr", "-c"])
            .arg(spoilt("nginx.conf", "proxy_buffering")),
    );
    fails(tool("haproxy").args(["-c", "-f"]).arg(spoilt("haproxy.cfg", "stick-table")));
}
