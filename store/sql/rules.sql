-- put_rule --
-- One rule per facility, commodity and kind; who is told and how may change.
insert into alarm_rule(facility_id, commodity, kind, channels, recipients)
values (%(facility_id)s, %(commodity)s, %(kind)s, %(channels)s, %(recipients)s)
on conflict (facility_id, commodity, kind)
do update set channels = excluded.channels, recipients = excluded.recipients
returning rule_id

-- put_limit --
-- Limits hold from a time on; what was judged before keeps its own.
insert into alarm_limit(rule_id, valid_from, winter_limit, summer_limit, set_by)
values (%(rule_id)s, %(valid_from)s, %(winter_limit)s, %(summer_limit)s, %(set_by)s)
on conflict (rule_id, valid_from) do update set winter_limit = excluded.winter_limit,
    summer_limit = excluded.summer_limit, enabled = true, set_by = excluded.set_by, set_at = now()
