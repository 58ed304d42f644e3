//! `postern healthcheck`: asks the proxy beside it how it is. For images without a shell.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use super::refuse;
use crate::config::Config;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The configuration of the proxy that is asked: it says where.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Whether it runs; otherwise whether it can serve.
    #[arg(long)]
    live: bool,
    /// How long to ask again while the answer is no.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    within: u64,
}

/// 0: well. 1: not.
#[expect(clippy::print_stderr, reason = "for whoever reads why a container is not healthy")]
pub(super) fn run(args: &Args) -> ExitCode {
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(invalid) => return refuse(&invalid),
    };
    let address = reachable(config.boot.admin);
    let path = if args.live { "/livez" } else { "/readyz" };
    let deadline = Instant::now() + Duration::from_secs(args.within);
    loop {
        let told = match ask(address, path) {
            Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => return ExitCode::SUCCESS,
            Ok(answer) => answer,
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline {
            eprintln!("postern: http://{address}{path}: {told}");
            return ExitCode::FAILURE;
        }
        thread::sleep(BETWEEN);
    }
}

/// Who listens everywhere is asked at home.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => (),
    }
    address
}

fn ask(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&address, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.take(MOST_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}

const PATIENCE: Duration = Duration::from_secs(2);
const BETWEEN: Duration = Duration::from_millis(100);
const MOST_BYTES: u64 = 64 << 10;
