"""Monitoring of a deployment: dashboards of Grafana, rules and targets of Prometheus."""
