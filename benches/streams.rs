//! What an idle stream of events costs in memory: `cargo bench -p proxy --bench streams`.
//!
//! Opens them through the release binary, one kind of client after the other, and looks at what the
//! process has resident before and after. See README.md beside this file.

#![allow(missing_docs, reason = "a bench has no interface")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench reports")]
#![allow(
    clippy::disallowed_methods,
    reason = "a bench is set by its environment, and its tokens are valid today"
)]

#[allow(dead_code, reason = "the other bench pins and times them too")]
#[path = "rig/process.rs"]
mod process;
mod tokens;

use std::env;
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use process::{Process, bound};
use rustix::process::{Resource, getrlimit};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokens::{ISSUER, Issuer, RESOURCE};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["part", "backend", socket] => backend(Path::new(socket)),
        arguments if arguments.contains(&"--bench") => bench(),
        _ => Ok(()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("streams: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How the clients speak.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Tls,
    Http2,
}

fn bench() -> Result<(), Box<dyn Error>> {
    let wanted = env::var("BENCH_STREAMS").map_or(Ok(STREAMS), |text| text.parse::<u64>())?;
    let limit = open_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (kind, name, files) in KINDS {
        // A process may be too small for all of them, so that there are several.
        let processes = wanted.div_ceil((limit.saturating_sub(SPARE) / files).max(1));
        let each = wanted.div_ceil(processes.max(1));
        let measured = measure(kind, usize::try_from(processes)?, usize::try_from(each)?);
        let [before, after] = runtime.block_on(measured)?;
        let streams = processes * each;
        let tenths = after.saturating_sub(before) * 10 / streams.max(1);
        println!(
            "{name}: {streams} streams at once, {each} in each of {processes} processes, \
             {before} KiB before, {after} KiB after: {}.{} KiB each",
            tenths / 10,
            tenths % 10
        );
    }
    Ok(())
}

fn open_files() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(1 << 20)
}

/// What the gateways have resident without streams, and when each has so many.
async fn measure(kind: Kind, processes: usize, streams: usize) -> Result<[u64; 2], Box<dyn Error>> {
    let (mut gateways, mut open) = (Vec::new(), Vec::new());
    for _ in 0..processes {
        let gateway = Gateway::start(kind)?;
        open.push(gateway.warm(kind).await?);
        gateways.push(gateway);
    }
    let before = resident(&gateways).await?;
    for gateway in &gateways {
        open.push(gateway.open(kind, streams).await?);
    }
    let after = resident(&gateways).await?;
    Ok([before, after])
}

/// What all of them have, when that stands still.
async fn resident(gateways: &[Gateway]) -> Result<u64, Box<dyn Error>> {
    let mut resident = 0;
    for gateway in gateways {
        gateway.settles().await?;
        resident += gateway.process.resident()?;
    }
    Ok(resident)
}

/// The release binary, its configuration and its backend.
struct Gateway {
    process: Process,
    address: SocketAddr,
    token: String,
    directory: TempDir,
    _backend: Process,
}

impl Gateway {
    fn start(kind: Kind) -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let at = |name: &str| directory.path().join(name);
        let issuer = Issuer::new()?;
        fs::write(at("jwks.json"), issuer.jwks())?;
        let token = issuer.ed25519.tokens(1, SystemTime::now())?.remove(0);
        let mut backend = bound(&env::current_exe()?);
        backend.args(["part", "backend"]).arg(at("backend.sock"));
        let mut backend = Process::start(&mut backend, at("backend.log"))?;
        backend.line()?;
        let own = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
        fs::write(at("certificate.pem"), own.cert.pem())?;
        fs::write(at("key.pem"), own.signing_key.serialize_pem())?;
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let path = directory.path().display();
        let most = (open_files() - SPARE) / 3;
        let tls = match kind {
            Kind::Plain => "off".to_owned(),
            Kind::Tls | Kind::Http2 => {
                format!("{{certificate: {path}/certificate.pem, key: {path}/key.pem}}")
            }
        };
        let config = format!(
            "listen: '{address}'\ntls: {tls}\nadmin: {{listen: '127.0.0.1:0'}}\n\
             resource: {{url: '{RESOURCE}'}}\n\
             issuers: [{{issuer: '{ISSUER}', keys: {{file: {path}/jwks.json}}}}]\n\
             upstream: {{address: 'unix:{path}/backend.sock'}}\nlog: {{level: warn}}\n\
             limits: {{connections: {most}, streams_per_principal: off}}\n"
        );
        fs::write(at("postern.yaml"), config)?;
        let mut command = bound(Path::new(env!("CARGO_BIN_EXE_postern")));
        command.arg("run").arg("--config").arg(at("postern.yaml"));
        let process = Process::start(&mut command, at("postern.log"))?;
        Ok(Self { process, address, token, directory, _backend: backend })
    }

    /// It answers before it has read the keys.
    async fn warm(&self, kind: Kind) -> Result<JoinSet<()>, Box<dyn Error>> {
        for _ in 0..100 {
            if let Ok(open) = self.open(kind, WARM).await {
                return Ok(open);
            }
            sleep(Duration::from_millis(50)).await;
        }
        self.open(kind, WARM).await
    }

    /// Opens so many streams, and reads the first event of each.
    async fn open(&self, kind: Kind, streams: usize) -> Result<JoinSet<()>, Box<dyn Error>> {
        let mut open = JoinSet::new();
        let request = format!(
            "GET /mcp HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {}\r\n\
             Accept: text/event-stream\r\n\r\n",
            self.token
        );
        match kind {
            Kind::Plain => {
                for _ in 0..streams {
                    let stream = listen(self.connect().await?, &request).await?;
                    open.spawn(hold(stream));
                }
            }
            Kind::Tls => {
                for _ in 0..streams {
                    let stream = listen(self.secure(b"http/1.1").await?, &request).await?;
                    open.spawn(hold(stream));
                }
            }
            Kind::Http2 => {
                for left in (0..streams).step_by(STREAMS_EACH) {
                    let here = STREAMS_EACH.min(streams - left);
                    self.multiplex(here, &mut open).await?;
                }
            }
        }
        Ok(open)
    }

    /// One connection with so many streams.
    async fn multiplex(
        &self,
        streams: usize,
        open: &mut JoinSet<()>,
    ) -> Result<(), Box<dyn Error>> {
        let (mut requests, connection) = h2::client::handshake(self.secure(b"h2").await?).await?;
        open.spawn(async { drop(connection.await) });
        let mut answers = Vec::new();
        for _ in 0..streams {
            let request = http::Request::get(RESOURCE)
                .header("authorization", format!("Bearer {}", self.token))
                .header("accept", "text/event-stream");
            let (answer, _) = requests.send_request(request.body(())?, true)?;
            answers.push(answer);
        }
        for answer in answers {
            let answer = answer.await?;
            if answer.status() != 200 {
                return Err(format!("{answer:?}").into());
            }
            let mut body = answer.into_body();
            let event: Option<Result<Bytes, _>> = body.data().await;
            event.ok_or("no event came")??;
            open.spawn(async move { while body.data().await.is_some() {} });
        }
        Ok(())
    }

    async fn connect(&self) -> Result<TcpStream, Box<dyn Error>> {
        for _ in 0..500 {
            if let Ok(stream) = TcpStream::connect(self.address).await {
                return Ok(stream);
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(self.process.last_words().into())
    }

    async fn secure(
        &self,
        protocol: &[u8],
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, Box<dyn Error>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.directory.path().join("certificate.pem"))?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions()?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from(HOST)?;
        Ok(TlsConnector::from(Arc::new(config)).connect(name, self.connect().await?).await?)
    }

    /// Until the memory stands still.
    async fn settles(&self) -> Result<(), Box<dyn Error>> {
        let mut last = 0;
        loop {
            sleep(Duration::from_secs(1)).await;
            let now = self.process.resident()?;
            if now.abs_diff(last) < 64 {
                return Ok(());
            }
            last = now;
        }
    }
}

/// Asks, and reads until the first event.
async fn listen<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    request: &str,
) -> Result<S, Box<dyn Error>> {
    stream.write_all(request.as_bytes()).await?;
    let mut heard = Vec::new();
    while !heard.ends_with(b"data: {}\n\n\r\n") {
        if stream.read_buf(&mut heard).await? == 0 {
            return Err(String::from_utf8_lossy(&heard).into());
        }
    }
    Ok(stream)
}

async fn hold<S: AsyncRead + Unpin>(mut stream: S) {
    let mut heard = [0; 64];
    while stream.read(&mut heard).await.is_ok_and(|bytes| bytes > 0) {}
}

/// Answers every connection with a stream: one event, and silence.
fn backend(socket: &Path) -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = UnixListener::bind(socket)?;
        println!("ready");
        loop {
            let (mut stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                let mut head = Vec::with_capacity(2048);
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await? == 0 {
                        return Ok(());
                    }
                }
                stream.write_all(ANSWER.as_bytes()).await?;
                // Until the proxy hangs up.
                stream.read(&mut [0]).await.map(drop)
            });
        }
    })
}

/// With their names, and how many descriptors each of their streams takes in the gateway.
const KINDS: [(Kind, &str, u64); 3] =
    [(Kind::Plain, "HTTP/1.1", 3), (Kind::Tls, "HTTP/1.1, TLS", 3), (Kind::Http2, "HTTP/2", 2)];
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\na\r\ndata: {}\n\n\r\n";
const HOST: &str = "mcp.example.com";
const STREAMS: u64 = 10_000;
/// As many as the gateway takes on one connection.
const STREAMS_EACH: usize = 100;
/// Opened first, so that what is built once is not counted.
const WARM: usize = 50;
/// Descriptors for everything else.
const SPARE: u64 = 400;
