"""How long calls take and how they end, for Prometheus and OpenTelemetry. Loaded only where one of them is configured.

catalogue   the metrics, each with its labels and what it counts: the one table the reference page is made from
labels      what may stand in a label: texts of peers only where they are known, and never more than so many
series      counters and histograms in memory
calls       what one server's calls tell, and the trail that hears it
meter       all of it for one process
exposition  `/metrics`
otel        traces and metrics by OpenTelemetry: the extra `otel`
"""
