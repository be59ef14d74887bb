"""Fixes of moto 5.2.5: behaviours that AWS documents and moto lacks or answers wrongly. No fix simulates a service.

A fix is removed when moto has its behaviour. `tests/contract/local_cloud/moto/test_moto_fixes.py` runs a probe of each
behaviour on moto without our fixes, and fails when moto has it. A fix names the issue of getmoto/moto where one was
found. Issues were not searched for every fix.

| Fix | moto's behaviour | Probes in `unfixed_moto.py` |
|---|---|---|
| `dynamodb.py` | checks a condition and writes in two moves | `moto_lets_two_conditional_writes_pass_at_once` |
| `moto_state.py` | makes unused state at start and reset | `moto_makes_managed_policies_in_every_partition`, \
`moto_fills_a_backend_before_a_reset_drops_it`, `botocore_reads_the_model_of_a_service_anew_for_each_session` |
| `pagination.py` | answers paged operations whole | `moto_answers_paged_operations_whole` |
| `event_patterns.py` | looks into no array of objects | `moto_matches_no_field_of_an_object_in_an_array` |
| `put_events.py` | takes events of `aws.` sources | `moto_takes_events_of_aws_sources` |
| `ecr_images.py` | hashes layers, loses images and names other tags | \
`moto_gives_one_digest_to_two_manifests_of_the_same_layers`, `moto_deletes_an_image_whose_tag_moves`, \
`moto_refuses_to_move_an_immutable_tag_with_another_code`, `moto_names_another_tag_than_the_requested_one`, \
`moto_deletes_an_untagged_image_without_naming_its_digest` |
| `cloudformation/stacks.py` | updates what changed in the template only, and loses failures | \
`moto_ignores_a_resource_of_an_unknown_type`, `moto_does_not_update_a_resource_whose_reference_changed`, \
`moto_raises_the_failure_of_a_resource_to_the_caller`, `moto_generates_names_that_are_too_long`, \
`moto_fails_on_a_kept_ssm_parameter_in_a_change_set` |
| `cloudformation/change_sets.py` | finds change sets by name, and makes stacks without outputs | \
`moto_finds_a_change_set_without_its_stack`, `moto_gives_no_outputs_to_a_stack_of_a_change_set` |
| `cloudformation/termination_protection.py` | keeps the flag without effect | \
`moto_has_no_update_of_termination_protection`, `moto_deletes_a_protected_stack` |
| `cloudwatch/alarm_operations.py` | has OK as first state, and one filter at a time | `moto_begins_an_alarm_as_ok`, \
`moto_loses_the_state_of_an_alarm_that_is_put_again`, `moto_applies_one_filter_of_describe_alarms`, \
`moto_has_no_composite_alarms` |
| `cloudwatch/alarm_history.py` | lacks DescribeAlarmHistory | `moto_has_no_alarm_history` |
| `cloudwatch/alarm_mute_rules.py` | lacks alarm mute rules | `moto_has_no_alarm_mute_rules` |
| `cloudwatch/metric_statistics.py` | mixes metrics of other dimensions, computes no percentile | \
`moto_answers_500_to_a_percentile`, \
`moto_adds_metrics_with_more_dimensions_to_a_statistic`, `moto_misses_a_metric_whose_dimensions_come_in_another_order` |
| `cloudwatch/metric_filters.py` | keeps both filters of a name | `moto_keeps_two_metric_filters_of_one_name` |
| `ecs/cluster_settings.py` | shows settings unasked | `moto_shows_cluster_settings_unasked` |
| `ecs/task_definitions.py` | lacks times, and takes INACTIVE for the latest | \
`moto_does_not_say_when_a_definition_was_registered`, `moto_describes_a_deregistered_definition_as_the_latest`, \
`moto_takes_secrets_without_an_execution_role` |
| `ecs/scalable_targets.py` | omits SuspendedState | `moto_omits_the_suspended_state_of_a_scalable_target` |
| `step_functions/definition.py` | does not check transitions | `moto_takes_a_definition_with_a_missing_target` |
| `step_functions/api.py` | drops parameters and members of answers | `moto_names_an_unnamed_execution_none`, \
`moto_drops_the_cause_of_a_failed_task`, `moto_ignores_the_reverse_order_of_a_history`, \
`moto_omits_the_stop_date_of_an_execution_that_timed_out`, `moto_writes_an_output_that_is_a_text_without_quotes` |
| `step_functions/executions.py` | lacks context members, and ends executions halfway | \
`moto_gives_no_iso_text_as_start_time`, `moto_has_no_redrive_count`, `moto_drops_the_cause_of_a_stopped_execution`, \
`moto_leaves_an_execution_running_whose_task_waits_for_a_token` |
| `step_functions/errors.py` | matches errors as the interpreter, not as AWS | \
`moto_catches_a_runtime_error_as_states_all`, `moto_does_not_name_the_error_of_a_choice_without_a_match`, \
`moto_compares_an_absent_variable` |
| `step_functions/paths.py` | answers some definite paths with a list | `moto_reads_a_definite_path_as_a_list` |
| `step_functions/tokens.py` | does not tell used tokens from unknown ones | \
`moto_takes_a_used_token_for_an_unknown_one`, `moto_takes_an_output_that_is_no_json` |

`pagination_model.py` (which operations have pages) and `step_functions/rebind.py` (how a function is replaced) are
parts of these fixes.
"""
