//! `postern explain`: one request through the pipeline that the proxy runs, and what came of it in
//! words.
//!
//! Nothing is judged here. [`Pipeline::decide`](crate::pipeline::Pipeline::decide) decides as it does
//! for the gateway; the stages are told in its order, and what was found is read from what it read.

mod finding;
mod passed;
mod print;
mod sent;
mod step;
mod words;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use tokio::sync::watch;

use crate::config::{self, Config, Rules, Source, TrustedIssuer};
use crate::holder::KeyHolder;
use crate::keys::KeySet;
use crate::outbound::{CannotFetch, Outbound};
use crate::pipeline::answer::Answer;
use crate::pipeline::authenticate::Told;
use crate::pipeline::authorize::{Permit, Ruling};
use crate::pipeline::channel::Channel;
use crate::pipeline::front::Reply;
use crate::pipeline::known::Known;
use crate::pipeline::proof::Ledger;
use crate::pipeline::revocation::Revocations;
use crate::pipeline::token::{Inquiry, Shown};
use crate::pipeline::{Cells, Decision, Pipeline};
use crate::record::Recorder;
use crate::refresh;
use crate::revoke::{NoList, Watcher};
use crate::snapshot;
pub(crate) use print::{Account, Ending};
pub(crate) use sent::{Sent, Unsendable};

/// One request, and whatever is known that it was judged by.
struct Case {
    config: Config,
    request: Parts,
    channel: Channel<'static>,
    now: SystemTime,
    site: Option<config::Site>,
    shown: Option<Shown>,
    /// Whose rules the token is judged by.
    issuer: Option<TrustedIssuer>,
    keys: Option<Arc<KeySet>>,
    /// What the issuer said when it was asked about the token.
    told: Option<Arc<Told>>,
    /// Why its keys cannot be had, or it cannot be asked.
    trouble: Option<String>,
    body: Bytes,
    /// What the policy said, as far as it was asked.
    ruling: Option<Ruling>,
}

/// How it ended.
enum Verdict {
    Passes(Permit),
    Answered(Answer),
}

/// Whether anybody may be asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Issuers, for keys and about tokens.
    Issuers,
    /// Nobody: keys are in files, or are not to be had.
    Nobody,
}

/// Sends the request through the pipeline, and tells what came of it.
pub(crate) async fn account(
    config: Config,
    sent: Sent,
    reach: Reach,
) -> Result<Account, CannotExplain> {
    let mut secret = [0; 32];
    aws_lc_rs::rand::fill(&mut secret).map_err(|_| CannotExplain::Random)?;
    let Config { boot, rules } = &config;
    let issuers: Vec<KeyHolder> = rules.issuers.iter().map(KeyHolder::new).collect();
    let cells = Cells {
        keyrings: issuers.iter().map(|holder| Arc::clone(&holder.keyring)).collect(),
        revocations: read_revocations(rules).await?,
        ledger: Arc::new(Ledger::new(secret)),
    };
    let pipeline = snapshot::pipeline(rules, &boot.limits, &cells);
    let outbound = Outbound::new(&boot.outbound)?;
    let mut asking = Asking { outbound, reach, pipeline, issuers };
    let mut case = Case::new(config, sent);
    let verdict = asking.decide(&mut case).await;
    case.ruling = match &verdict {
        Verdict::Passes(permit) => Some(permit.ruling().clone()),
        Verdict::Answered(answer) => answer.refused().map(|(_, ruling)| ruling.clone()),
    };
    Ok(Account::new(&case, verdict))
}

async fn read_revocations(rules: &Rules) -> Result<Arc<Revocations>, CannotExplain> {
    let revocations = Arc::default();
    let (cell, gauges) = (Arc::clone(&revocations), Recorder::new()?.revocations());
    Watcher::new(cell, gauges, watch::channel(0).0).watch(rules).await?;
    Ok(revocations)
}

impl Case {
    fn new(config: Config, sent: Sent) -> Self {
        let (request, body, channel) = sent.into_parts();
        let shown = sent::credentials(&request).map(|(_, token)| Shown::of(token));
        #[expect(
            clippy::disallowed_methods,
            reason = "this is one request's one look at the clock"
        )]
        let now = SystemTime::now();
        Self {
            config,
            request,
            channel,
            now,
            site: None,
            shown,
            issuer: None,
            keys: None,
            told: None,
            trouble: None,
            body,
            ruling: None,
        }
    }

    fn named_issuer(&self) -> Option<&str> {
        self.shown.as_ref()?.claims.as_ref()?.text("iss")
    }
}

/// What a decision may need to know from others.
struct Asking {
    outbound: Outbound,
    reach: Reach,
    pipeline: Pipeline,
    issuers: Vec<KeyHolder>,
}

impl Asking {
    async fn decide(&mut self, case: &mut Case) -> Verdict {
        let pipeline = &self.pipeline;
        let resource = pipeline.protects(&case.request).map(|site| site.resource().as_str());
        let mut sites = case.config.rules.sites.iter();
        case.site = sites.find(|site| Some(site.resource.as_str()) == resource).cloned();
        self.fetch_keys(case).await;
        let mut known = Known::default();
        loop {
            match pipeline.decide_knowing(&case.request, &case.channel, &known, case.now) {
                // They have just been fetched: there are no others.
                Decision::NeedKey(_) => known.keys_are_new(),
                Decision::NeedIntrospection(inquiry) => match self.ask(case, inquiry).await {
                    Some(told) => known.token_is(Arc::clone(case.told.insert(told))),
                    None => return Verdict::Answered(Answer::NoIntrospection),
                },
                Decision::Front(_) => {
                    return Verdict::Answered(Answer::Front(Box::new(Reply::untold())));
                }
                Decision::NeedBody => known.body_is(case.body.clone()),
                Decision::Forward(permit) => return Verdict::Passes(permit),
                Decision::Answer(answer) => return Verdict::Answered(answer),
            }
        }
    }

    /// Of the issuer that the token names, if it is trusted: no other is asked.
    async fn fetch_keys(&self, case: &mut Case) {
        let Some(name) = case.named_issuer() else { return };
        let mut holders = self.issuers.iter();
        let Some(holder) = holders.find(|holder| holder.issuer.issuer.as_str() == name) else {
            return;
        };
        case.issuer = Some(holder.issuer.clone());
        if self.reach == Reach::Nobody && !holder.issuer.source.is_file() {
            case.trouble = Some("nobody is asked with --offline".to_owned());
            return;
        }
        case.trouble =
            refresh::look_once(holder, &self.outbound).await.err().map(|why| why.to_string());
        case.keys = holder.keyring.current();
    }

    /// The one issuer that is asked, about this token.
    async fn ask(&self, case: &mut Case, inquiry: Inquiry) -> Option<Arc<Told>> {
        let asked = |holder: &&KeyHolder| matches!(holder.issuer.source, Source::Introspection(_));
        let holder = self.issuers.iter().find(asked)?;
        case.issuer = Some(holder.issuer.clone());
        if self.reach == Reach::Nobody {
            case.trouble = Some("nobody is asked with --offline".to_owned());
            return None;
        }
        if let Err(why) = refresh::look_once(holder, &self.outbound).await {
            case.trouble = Some(why.to_string());
            return None;
        }
        let told = crate::introspect::ask_once(holder, &self.outbound, inquiry).await;
        told.map_err(|why| case.trouble = Some(why.to_string())).ok()
    }
}

/// Why there is nothing to tell: the proxy would not start either.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotExplain {
    #[error("the system gives no random numbers")]
    Random,
    #[error("{0}")]
    Outbound(#[from] CannotFetch),
    #[error("{0}")]
    Revocations(#[from] NoList),
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
}
