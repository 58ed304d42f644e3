//! The pipeline's place in pingora: each phase calls one stage and decides nothing itself.

mod arrive;
mod audit;
mod body;
mod decide;
mod downstream;
mod failure;
mod front;
mod lists;
mod log;
mod place;
mod streams;
mod trace;
mod upgrade;
mod upward;

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use pingora_core::modules::http::HttpModules;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use crate::audit::Audit;
use crate::config::{Boot, TrustedProxies};
use crate::edge::Connection;
use crate::exchange::Exchange;
use crate::pipeline::Decision;
use crate::pipeline::answer::Answer;
use crate::pipeline::trail::Roots;
use crate::record::{Names, Recorder};
use crate::snapshot::Live;
use crate::spans::Spans;
use crate::stream::Changes;
use downstream::DRAIN;

/// Pingora's view of the proxy.
pub(crate) struct Gateway {
    live: Arc<Live>,
    changes: Changes,
    recorder: Recorder,
    audit: Audit,
    proxies: TrustedProxies,
    names: Names,
    /// How many traces are begun here.
    roots: Option<Roots>,
    spans: Spans,
    body_timeout: Duration,
    write_timeout: Duration,
}

impl Gateway {
    pub(crate) fn new(
        live: Arc<Live>,
        changes: Changes,
        recorder: Recorder,
        (audit, spans): (Audit, Spans),
        boot: &Boot,
    ) -> Self {
        Self {
            live,
            changes,
            recorder,
            audit,
            proxies: boot.proxies.clone(),
            names: Names::default(),
            roots: boot.traces.as_ref().map(|traces| Roots::of(traces.sample)),
            spans,
            body_timeout: boot.limits.body_timeout,
            write_timeout: boot.limits.write_timeout,
        }
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange::new(self.live.pin())
    }

    /// None: pingora's default would make room for compression, and with it for buffering.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<()> {
        if let Some(connection) = Connection::of(session.digest()) {
            connection.head_read();
            exchange.connection = Some(connection);
        }
        session.set_read_timeout(Some(self.body_timeout));
        if session.is_http2() {
            // A stream may stand still while its connection does not; the connection itself is
            // looked after where it is written, and a second timer there would cost each request.
            session.set_write_timeout(Some(self.write_timeout));
        }
        session.set_total_drain_timeout(Some(DRAIN));
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        exchange.arrival =
            arrive::from(session, exchange, &self.proxies, (&self.names, self.roots));
        exchange.page = exchange.snapshot.pipeline.page(session.req_header());
        let decision = match downstream::misframed(session) {
            Some(why) => Decision::Answer(Answer::Misframed(why)),
            None => self.decide(session, exchange).await?,
        };
        self.find_trace(exchange, &decision);
        let decision = place::find(exchange, decision);
        let decision = audit::tell(&self.audit, session, exchange, decision);
        match decision {
            Decision::Forward(permit) => {
                self.let_pass(session, exchange, permit);
                Ok(CONTINUE)
            }
            Decision::Answer(answer) => {
                downstream::take_small_body(session).await;
                if matches!(answer, Answer::Misframed(_)) {
                    // Where this request ended, and another begins, nobody can say.
                    session.set_keepalive(None);
                }
                downstream::answer(session, exchange, answer).await?;
                Ok(ANSWERED)
            }
            Decision::NeedKey(_)
            | Decision::NeedIntrospection(_)
            | Decision::NeedBody
            | Decision::Front(_) => Error::e_explain(ErrorType::HTTPStatus(500), "undecided"),
        }
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<Box<HttpPeer>> {
        exchange.times.asked.get_or_insert_with(Instant::now);
        let may_switch = exchange.permit()?.handshake().is_some();
        Ok(Box::new(exchange.backend()?.peer(may_switch)))
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        exchange: &mut Exchange,
        mut error: Box<Error>,
    ) -> Box<Error> {
        place::not_connected(exchange, &mut error);
        error
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        exchange: &mut Exchange,
        reused: bool,
    ) -> Box<Error> {
        place::broken(session, exchange, &mut error, reused);
        error
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        _reused: bool,
        _peer: &HttpPeer,
        _fd: RawFd,
        digest: Option<&Digest>,
        exchange: &mut Exchange,
    ) -> Result<()> {
        exchange.permit()?;
        place::connected(exchange, digest);
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        upward::rewrite(session, request, exchange)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        if upgrade::is_wanted(response) {
            upgrade::begin(session, response, exchange)?;
            place::answered(exchange)?;
        } else if response.status.is_informational() {
            exchange.count_early_head()?;
        } else {
            place::answered(exchange)?;
        }
        exchange.upstream_spoke(true);
        downstream::pass_on(response, exchange)?;
        downstream::part(session, exchange);
        if streams::is_one(session, response) {
            exchange.open = Some(self.recorder.stream());
            streams::begin(session, response, exchange, &self.changes)?;
        }
        lists::begin(session, response, exchange)
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> Result<Option<Duration>> {
        exchange.upstream_spoke(end);
        lists::go_on(session, body, end, exchange)?;
        streams::go_on(exchange, body.as_deref(), end)?;
        Ok(None)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        exchange.permit()?;
        // What a WebSocket says has no end to wait for, and no size.
        if session.was_upgraded() { Ok(()) } else { body::go_on(body, end, exchange) }
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Exchange,
    ) -> FailToProxy {
        let told = failure::tell(session, error, exchange).await;
        streams::end_with_us(session, exchange).await;
        told
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, exchange: &mut Exchange) {
        if let Some(connection) = &exchange.connection {
            connection.request_done();
        }
        log::tell(session, error, exchange, &self.recorder);
        trace::tell(&self.spans, session, error, exchange);
        audit::tell_end(&self.audit, session, exchange);
    }

    fn suppress_error_log(&self, _session: &Session, _exchange: &Exchange, _error: &Error) -> bool {
        SAID_IN_OUR_OWN_LINE
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _exchange: &Exchange,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        SAID_IN_OUR_OWN_LINE
    }
}

/// The one place where a request learns the time.
#[expect(clippy::disallowed_methods, reason = "this is that place")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// `request_filter`'s bool, spelled out.
const ANSWERED: bool = true;
const CONTINUE: bool = false;

const SAID_IN_OUR_OWN_LINE: bool = true;
