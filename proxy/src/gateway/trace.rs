//! What there is to tell of a request that is over to who follows its trace.

use std::time::{Instant, SystemTime};

use pingora_core::Error;
use pingora_proxy::Session;

use super::{Gateway, now};
use crate::exchange::Exchange;
use crate::pipeline::Decision;
use crate::pipeline::authorize::Ruling;
use crate::pipeline::call::Call;
use crate::pipeline::trail::Parts;
use crate::spans::{Kind, Span, Spans, Value};

impl Gateway {
    /// A message may name the trace that it belongs to, which is known once it is decided on.
    pub(super) fn find_trace(&self, exchange: &mut Exchange, decision: &Decision) {
        exchange.times.decided = Some(Instant::now());
        let ruling = match decision {
            Decision::Forward(permit) => Some(permit.ruling()),
            Decision::Answer(answer) => answer.refused().map(|(_, ruling)| ruling),
            Decision::NeedKey(_)
            | Decision::NeedIntrospection(_)
            | Decision::NeedBody
            | Decision::Front(_) => None,
        };
        let parent = ruling.and_then(Ruling::call).and_then(Call::trace_parent);
        if let (Some(parent), Some(arrival)) = (parent, &mut exchange.arrival) {
            arrival.trail.go_on(parent, || self.names.next());
        }
    }
}

/// Leaves the parts of its trace, if that is one that is told of.
pub(super) fn tell(spans: &Spans, session: &Session, error: Option<&Error>, exchange: &Exchange) {
    if !spans.are_wanted() {
        return;
    }
    let Some(parts) = exchange.arrival.as_ref().and_then(|arrival| arrival.trail.parts()) else {
        return;
    };
    let telling = Telling { parts, exchange, end: Instant::now(), now: now() };
    let mut told = vec![telling.whole(session, error.is_some())];
    told.extend(telling.verification());
    told.extend(telling.waits());
    told.extend(telling.upstream(error.is_some()));
    spans.tell(told);
}

/// One request, seen from its end.
struct Telling<'a> {
    parts: Parts,
    exchange: &'a Exchange,
    end: Instant,
    now: SystemTime,
}

type Attribute = (&'static str, Value);

impl Telling<'_> {
    /// The request itself.
    fn whole(&self, session: &Session, broke: bool) -> Span {
        let request = session.req_header();
        let outcome = self.exchange.outcome(broke).reason().code();
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        let site = self.exchange.protects(request);
        let call = self.exchange.ruling().and_then(Ruling::call);
        let call = call.filter(|call| !call.method().is_empty());
        let version = request.headers.get("mcp-protocol-version");
        let arrival = self.exchange.arrival.as_ref();
        let mut attributes = vec![
            ("http.request.method", text(request.method.as_str())),
            ("http.response.status_code", Value::Number(status.into())),
            ("url.path", text(request.uri.path())),
            ("network.protocol.name", text("http")),
            ("postern.outcome", text(outcome)),
        ];
        let further = [
            ("error.type", (status >= 400 || broke).then_some(outcome)),
            ("http.route", site.map(|site| site.resource().path())),
            ("postern.resource", site.map(|site| site.resource().as_str())),
            ("postern.request_id", arrival.map(|arrival| arrival.trail.request_id())),
            ("mcp.protocol.version", version.and_then(|version| version.to_str().ok())),
        ];
        attributes.extend(further.into_iter().filter_map(|(name, told)| Some((name, text(told?)))));
        attributes.extend(call.into_iter().flat_map(about));
        let name = match (call, call.and_then(Call::tool)) {
            (Some(call), Some(tool)) => format!("{} {tool}", call.method()),
            (Some(call), None) => call.method().to_owned(),
            (None, _) => {
                let route = site.map_or("", |site| site.resource().path());
                format!("{} {route}", request.method).trim_end().to_owned()
            }
        };
        Span {
            parent: self.parts.caller,
            failed: status >= 500 || broke,
            ..self.span(self.id(0), name, (self.exchange.began, self.end), attributes)
        }
    }

    /// Until it was decided what becomes of it.
    fn verification(&self) -> Option<Span> {
        let between = (self.exchange.began, self.exchange.times.decided?);
        let principal = self.exchange.principal();
        let issuer = principal.map(|principal| ("postern.issuer", text(&principal.issuer)));
        let verdict = self.exchange.permit().ok().map(|permit| {
            let remembered = permit.remembered() && !self.exchange.verified;
            let verdict = if remembered { "remembered" } else { "verified" };
            ("postern.verdict", text(verdict))
        });
        let attributes = issuer.into_iter().chain(verdict).collect();
        let span = self.span(self.id(1), "verify".to_owned(), between, attributes);
        Some(Span { kind: Kind::Internal, ..span })
    }

    /// What was waited for meanwhile.
    fn waits(&self) -> impl Iterator<Item = Span> {
        let times = self.exchange.times;
        let waits = [
            (2, "wait for keys", times.keys),
            (3, "wait for introspection", times.word),
            (4, "read body", times.body),
        ];
        waits.into_iter().filter_map(|(number, name, between)| {
            let span = self.span(self.id(number), name.to_owned(), between?, Vec::new());
            Some(Span { parent: Some(self.id(1)), kind: Kind::Internal, ..span })
        })
    }

    /// The backend's turn, under the number that it has heard.
    fn upstream(&self, broke: bool) -> Option<Span> {
        let times = self.exchange.times;
        let between = (times.asked?, times.said.unwrap_or(self.end));
        let span = self.span(self.parts.upstream, "upstream".to_owned(), between, Vec::new());
        Some(Span { failed: broke || times.said.is_none(), kind: Kind::Client, ..span })
    }

    fn span(
        &self,
        id: [u8; 8],
        name: String,
        (from, to): (Instant, Instant),
        attributes: Vec<Attribute>,
    ) -> Span {
        Span {
            trace: self.parts.trace,
            id,
            parent: Some(self.id(0)),
            name,
            kind: Kind::Server,
            from: self.at(from),
            to: self.at(to),
            failed: false,
            attributes,
        }
    }

    /// Our own parts are called after the one that the backend hears of: as random, and never the same.
    fn id(&self, number: u64) -> [u8; 8] {
        (!u64::from_be_bytes(self.parts.upstream) ^ number).to_be_bytes()
    }

    fn at(&self, moment: Instant) -> SystemTime {
        let before = self.end.saturating_duration_since(moment);
        self.now.checked_sub(before).unwrap_or(self.now)
    }
}

/// By the names that OpenTelemetry has for MCP.
fn about(call: &Call) -> Vec<Attribute> {
    let mut about = vec![("mcp.method.name", text(call.method()))];
    if let Some(id) = call.id() {
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        about.push(("jsonrpc.request.id", text(&id)));
    }
    let kind = match call.method() {
        "tools/call" => {
            about.push(("gen_ai.operation.name", text("execute_tool")));
            "gen_ai.tool.name"
        }
        "prompts/get" => "gen_ai.prompt.name",
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => "mcp.resource.uri",
        _ => return about,
    };
    about.extend(call.name().map(|name| (kind, text(name))));
    about
}

/// No attribute is longer: what clients write has its bounds here too.
fn text(text: &str) -> Value {
    Value::Text(text.chars().take(LONGEST).collect())
}

const LONGEST: usize = 256;
