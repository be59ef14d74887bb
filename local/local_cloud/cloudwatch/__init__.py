"""CloudWatch of the embedded cloud, implemented here on moto's alarms, metrics and logs.

Simulated are the evaluation of metric alarms (M out of N, missing data, metric math) and of composite alarms. Alarm
actions go to SNS and Lambda, and each change of state is an EventBridge event. Metric filters, embedded-format log
lines, Lambda and Step Functions produce metrics. Not simulated: anomaly detection, alarm suppression, metric streams,
Logs Insights. moto's operations are repaired in `local_cloud.moto_fixes.cloudwatch`. Sources: CloudWatch user guide,
"Configuring how alarms treat missing data", "Metric math syntax and functions", "Alarm events and EventBridge".
Readings of these that AWS leaves open are in `metric_math.Reading`.
"""
