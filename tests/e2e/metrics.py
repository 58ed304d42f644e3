"""Reads an exposition on stdin with Prometheus' own parsers; prints each family's name and type, and the
traces of its exemplars."""

import json
import sys

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

read = {"text": text_string_to_metric_families, "openmetrics": openmetrics.text_string_to_metric_families}
families = list(read[sys.argv[1]](sys.stdin.read()))
exemplars = [sample.exemplar for family in families for sample in family.samples if sample.exemplar]
print(json.dumps({
    "families": {family.name: family.type for family in families},
    "traces": [exemplar.labels["trace_id"] for exemplar in exemplars],
}))
