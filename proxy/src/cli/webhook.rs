//! `postern webhook`: puts the proxy into pods while they are created.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime::Runtime;

use super::refuse;
use super::run::{EX_SOFTWARE, Stop};
use crate::config::{CertificateFiles, Log};
use crate::inject::webhook::{Options, Webhook};
use crate::record::log;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where API servers connect.
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:9443")]
    listen: SocketAddr,
    /// Metrics and probes.
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:9464")]
    admin: SocketAddr,
    /// The certificate's chain, in PEM; looked at every second.
    #[arg(long, value_name = "FILE", default_value = "/etc/postern/tls/tls.crt")]
    certificate: PathBuf,
    /// Its private key, in PEM.
    #[arg(long, value_name = "FILE", default_value = "/etc/postern/tls/tls.key")]
    key: PathBuf,
    #[command(flatten)]
    image: super::Image,
}

pub(super) fn run(args: Args) -> ExitCode {
    log::start(&Log::default());
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    runtime.block_on(serve(Options {
        listen: args.listen,
        admin: args.admin,
        certificate: CertificateFiles { chain: args.certificate, key: args.key },
        image: args.image.image,
    }))
}

async fn serve(options: Options) -> ExitCode {
    let mut stop = match Stop::new() {
        Ok(stop) => stop,
        Err(error) => return refuse(&error),
    };
    let mut webhook = match Webhook::start(options) {
        Ok(webhook) => webhook,
        Err(why) => return refuse(&why),
    };
    tracing::info!(webhook = %webhook.reviews(), admin = %webhook.admin(), "listening");
    let code = tokio::select! {
        () = stop.told() => ExitCode::SUCCESS,
        () = webhook.broken() => {
            tracing::error!("a part that must run for ever has broken: this is a bug");
            ExitCode::from(EX_SOFTWARE)
        }
    };
    webhook.drain().await;
    tracing::info!("stopped");
    code
}
