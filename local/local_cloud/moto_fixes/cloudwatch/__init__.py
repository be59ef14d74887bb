"""Fixes of moto's CloudWatch and CloudWatch Logs: operations on alarms, GetMetricStatistics, and metric filters."""
