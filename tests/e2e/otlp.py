"""A collector: reads OTLP with the messages that OpenTelemetry's own Python package has.

Prints its port, then each export that it takes as a line of JSON. With --refuse it takes none.
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

parser = argparse.ArgumentParser()
parser.add_argument("--refuse", action="store_true")
arguments = parser.parse_args()


def told(attributes):
    values = {}
    for one in attributes:
        kind = one.value.WhichOneof("value")
        values[one.key] = getattr(one.value, kind)
    return values


def read(span):
    return {
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind),
        "from": span.start_time_unix_nano,
        "to": span.end_time_unix_nano,
        "failed": span.status.code == Status.STATUS_CODE_ERROR,
        "attributes": told(span.attributes),
    }


class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = ExportTraceServiceRequest.FromString(body)
        spans, about = [], {}
        for resource in request.resource_spans:
            about = told(resource.resource.attributes)
            spans += [read(span) for scope in resource.scope_spans for span in scope.spans]
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(503 if arguments.refuse else 200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        line = {
            "path": self.path,
            "type": self.headers["Content-Type"],
            "key": self.headers["X-Api-Key"],
            "about": about,
            "spans": spans,
        }
        print(json.dumps(line), flush=True)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
print(server.server_port, flush=True)
server.serve_forever()
