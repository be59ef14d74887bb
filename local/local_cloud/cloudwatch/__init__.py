"""CloudWatch of the embedded cloud, ours on moto's alarms, metrics and logs.

Simulated: evaluation of metric alarms (M out of N, missing data, metric math) and of composite alarms; alarm actions to
SNS and Lambda; the alarm's EventBridge event; metric filters and embedded-format log lines; the metrics that Lambda and
Step Functions report. Not simulated: anomaly detection, alarm suppression, metric streams, Logs Insights. moto's
operations are repaired in `local_cloud.moto_fixes.cloudwatch`. Sources: CloudWatch user guide, "Configuring how alarms
treat missing data", "Metric math syntax and functions", "Alarm events and EventBridge". Readings of these that AWS
leaves open are in `metric_math.Reading`.
"""
