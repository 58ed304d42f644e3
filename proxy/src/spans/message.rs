//! Spans as OTLP has them.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{self as otlp, ResourceSpans, ScopeSpans, Status};
use prost::Message as _;

use super::{Kind, Span, Value};

/// One request to a collector.
pub(super) fn of(spans: Vec<Span>) -> Vec<u8> {
    let scope = InstrumentationScope {
        name: NAME.to_owned(),
        version: VERSION.to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = spans.into_iter().map(span).collect();
    let about = [("service.name", NAME), ("service.version", VERSION)];
    let attributes = about.map(|(name, value)| attribute((name, Value::Text(value.to_owned()))));
    let resource = Resource { attributes: attributes.into(), ..Resource::default() };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    };
    request.encode_to_vec()
}

fn span(span: Span) -> otlp::Span {
    let kind = match span.kind {
        Kind::Server => otlp::span::SpanKind::Server,
        Kind::Internal => otlp::span::SpanKind::Internal,
        Kind::Client => otlp::span::SpanKind::Client,
    };
    let code = otlp::status::StatusCode::Error;
    let status = span.failed.then(|| Status { code: code.into(), ..Status::default() });
    otlp::Span {
        trace_id: span.trace.into(),
        span_id: span.id.into(),
        parent_span_id: span.parent.map(Vec::from).unwrap_or_default(),
        name: span.name,
        kind: kind.into(),
        start_time_unix_nano: nanoseconds(span.from),
        end_time_unix_nano: nanoseconds(span.to),
        attributes: span.attributes.into_iter().map(attribute).collect(),
        status,
        ..otlp::Span::default()
    }
}

fn attribute((name, value): (&str, Value)) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(text),
        Value::Number(number) => any_value::Value::IntValue(number),
    };
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: name.to_owned(), value, ..KeyValue::default() }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

const NAME: &str = "postern";
const VERSION: &str = env!("CARGO_PKG_VERSION");
