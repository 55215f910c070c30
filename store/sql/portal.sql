-- user_by_email --
-- Login; addresses are compared without case.
select user_id, email, name, language, password_hash from app_user where lower(email) = lower(%(email)s)

-- rehash --
-- A password hash made with yesterday's parameters is replaced at login.
update app_user set password_hash = %(password_hash)s where user_id = %(user_id)s

-- set_language --
-- The language a person reads pages, notices and mail in.
update app_user set language = %(language)s where user_id = %(user_id)s

-- open_session --
-- Only the hash of the session's id is stored. Its times are the database's: they must not follow a
-- simulated clock.
insert into session (session_hash, user_id, csrf_token) values (%(session_hash)s, %(user_id)s, %(csrf_token)s)

-- find_session --
-- The person behind a cookie, unless the session is too old or was left alone too long.
select s.user_id, u.name, u.email, u.language, s.csrf_token, s.seen_at < now() - interval '1 minute' as stale
from session s join app_user u using (user_id)
where s.session_hash = %(session_hash)s
  and s.seen_at > now() - %(idle_min)s * interval '1 minute'
  and s.created_at > now() - %(absolute_h)s * interval '1 hour'

-- touch_session --
-- Written at most once a minute, not with every request.
update session set seen_at = now() where session_hash = %(session_hash)s

-- close_session --
-- Logout, and rotation at login.
delete from session where session_hash = %(session_hash)s

-- sweep_sessions --
-- Sessions nobody can use any more; run at login.
delete from session
where created_at < now() - %(absolute_h)s * interval '1 hour' or seen_at < now() - %(idle_min)s * interval '1 minute'

-- grants --
-- Everything one person may see, resolved once per request.
select f.facility_id, g.level
from grant_customer g join facility f using (customer_id)
where g.user_id = %(user_id)s

-- is_admin --
-- Provisional meaning of staff: administrator of any customer.
select exists (select from grant_customer where user_id = %(user_id)s and level = 'admin')

-- facilities --
-- The list with each facility's newest hours and open alarms; the search is plain text in four columns.
select f.facility_id, f.name, f.address, f.metering_point, f.building_type, f.built_year, f.heated_area_m2,
       c.name as customer, c.number as customer_number,
       coalesce((select array_agg(distinct i.commodity order by i.commodity) from installation i
                 where i.facility_id = f.facility_id), '{}') as commodities,
       coalesce(alarm.unacknowledged, 0)::int as unacknowledged, coalesce(alarm.active, 0)::int as active
from facility f
join customer c using (customer_id)
left join lateral (
    select count(*) filter (where a.state in ('unacknowledged', 'returned_unacknowledged')) as unacknowledged,
           count(*) filter (where a.state not in ('returned_unacknowledged', 'pending')) as active
    from alarm_occurrence a
    where a.facility_id = f.facility_id and a.state not in ('normal', 'withdrawn')) alarm on true
where f.facility_id = any(%(facility_ids)s)
  and (%(search)s = '' or concat_ws(' ', f.name, f.address, f.metering_point, c.name, c.number)
       ilike '%%' || %(search)s || '%%')
order by coalesce(alarm.unacknowledged, 0) = 0, coalesce(alarm.active, 0) = 0, f.name, f.facility_id
limit %(limit)s offset %(offset)s

-- latest_hours --
-- The newest stored hour of each commodity of these facilities.
select i.facility_id, i.commodity, h.start_at, h.energy_j, h.volume_ml, h.e8_mlc, h.e9_mlc, h.quality
from (select distinct facility_id, commodity from installation where facility_id = any(%(facility_ids)s)) i
cross join lateral (
    select start_at, energy_j, volume_ml, e8_mlc, e9_mlc, quality from hour
    where hour.facility_id = i.facility_id and hour.commodity = i.commodity
    order by start_at desc limit 1) h
order by i.facility_id, i.commodity

-- meters --
-- Meters of a facility over time.
select m.meter_id, m.identity_text, m.profile, i.commodity, i.energy_register, i.sign,
       nullif(i.installed_at, '-infinity') as installed_at, nullif(i.removed_at, 'infinity') as removed_at,
       m.energy_step_j, m.volume_step_ml
from installation i join meter m using (meter_id)
where i.facility_id = %(facility_id)s
order by i.commodity, i.installed_at, m.meter_id

-- readings --
-- A meter's rows while it sat in this facility: what it measured elsewhere belongs to somebody else.
select r.at, r.energy_j, r.cooling_energy_j, r.volume_ml, r.e8_mlc, r.e9_mlc, r.power_w, r.flow_l_h,
       r.supply_temp_cc, r.return_temp_cc, r.operating_h, r.error_h, r.info_code,
       r.quality, r.status, r.received_at
from reading r
where r.meter_id = %(meter_id)s and r.at >= %(from_at)s and r.at < %(to_at)s
  and exists (select from installation i where i.meter_id = r.meter_id and i.facility_id = %(facility_id)s
              and r.at >= i.installed_at and r.at < i.removed_at)
order by r.at

-- latest_readings --
-- The newest row of each meter that sits in the facility now.
select m.meter_id, m.identity_text, i.commodity, r.at, r.received_at, r.energy_j, r.cooling_energy_j, r.volume_ml,
       r.power_w, r.flow_l_h, r.supply_temp_cc, r.return_temp_cc, r.quality
from installation i
join meter m using (meter_id)
cross join lateral (
    select * from reading where reading.meter_id = m.meter_id and reading.at >= i.installed_at
    order by reading.at desc limit 1) r
where i.facility_id = %(facility_id)s and i.removed_at > %(now_at)s
order by i.commodity, m.meter_id

-- hours --
-- One facility's hours with the outdoor temperature of its station.
select extract(epoch from h.start_at)::int8, h.energy_j, h.volume_ml, h.e8_mlc, h.e9_mlc, h.quality, o.temp_cc
from hour h
left join outdoor o on o.station_id = %(station_id)s and o.start_at = h.start_at
where h.facility_id = %(facility_id)s and h.commodity = %(commodity)s
  and h.start_at >= %(from_at)s and h.start_at < %(to_at)s
order by h.start_at

-- days --
-- One facility's metering days.
select day, energy_j, volume_ml, e8_mlc, e9_mlc, weighted_energy_j, weighted_return_jc, hours, hours_measured,
       outdoor_temp_cc, quality
from day
where facility_id = %(facility_id)s and commodity = %(commodity)s and day >= %(from_day)s and day < %(to_day)s
order by day

-- months --
-- Sums first; whoever divides does it once, after.
select date_trunc('month', day)::date, sum(energy_j)::int8, sum(volume_ml)::int8, sum(e8_mlc)::numeric,
       sum(e9_mlc)::numeric, sum(weighted_energy_j)::numeric, sum(weighted_return_jc)::numeric,
       sum(hours)::int, sum(hours_measured)::int, max(energy_j / 24)::int8, avg(outdoor_temp_cc)::float8
from day
where facility_id = %(facility_id)s and commodity = %(commodity)s and day >= %(from_day)s and day < %(to_day)s
group by 1
order by 1

-- facility_station --
-- The weather station a facility's outdoor temperature comes from.
select station_id from facility where facility_id = %(facility_id)s

-- alarms --
-- Occurrences with the newest first; open ones before the rest when asked for all.
select a.occurrence_id, a.rule_id, a.facility_id, f.name as facility_name, a.commodity, a.kind, a.since, a.until,
       a.season, a.limit_value, a.raised_value, a.extreme_value, a.window_h, a.state, a.state_at,
       a.acknowledged_by
from alarm_occurrence a join facility f using (facility_id)
where a.facility_id = any(%(facility_ids)s)
  and (%(kind)s::text is null or a.kind = %(kind)s)
  and (%(states)s::text[] is null or a.state = any(%(states)s))
  and (%(season)s::text is null or a.season = %(season)s)
  and a.since >= %(from_at)s and a.since < %(to_at)s
order by a.since desc, a.occurrence_id desc
limit %(limit)s

-- open_alarms --
-- What is not over: condition holds, or nobody has seen that it ended.
select a.occurrence_id, a.rule_id, a.facility_id, f.name as facility_name, a.commodity, a.kind, a.since, a.until,
       a.season, a.limit_value, a.raised_value, a.extreme_value, a.window_h, a.state, a.state_at,
       a.acknowledged_by
from alarm_occurrence a join facility f using (facility_id)
where a.facility_id = any(%(facility_ids)s) and a.state not in ('normal', 'withdrawn', 'pending')
order by a.until is not null, a.since desc

-- alarm --
-- One occurrence, if it lies in the scope.
select a.occurrence_id, a.rule_id, a.facility_id, f.name as facility_name, a.commodity, a.kind, a.since, a.until,
       a.season, a.limit_value, a.raised_value, a.extreme_value, a.window_h, a.state, a.state_at,
       a.acknowledged_by
from alarm_occurrence a join facility f using (facility_id)
where a.occurrence_id = %(occurrence_id)s and a.facility_id = any(%(facility_ids)s)

-- transitions --
-- The history of one occurrence.
select transition_id, event, from_state, to_state, source_at, decided_at, actor, reason, value
from alarm_transition where occurrence_id = %(occurrence_id)s order by transition_id

-- rules --
-- A facility's rules with the limit in force.
select r.rule_id, r.commodity, r.kind, r.channels, l.valid_from, l.enabled, l.winter_limit, l.summer_limit,
       l.set_by, l.set_at
from alarm_rule r
left join lateral (
    select * from alarm_limit where alarm_limit.rule_id = r.rule_id and valid_from <= %(now_at)s
    order by valid_from desc limit 1) l on true
where r.facility_id = %(facility_id)s
order by r.commodity, r.kind

-- limits_between --
-- Every limit that held at some time in an interval, so a chart shows the limit of its day.
select r.kind, l.valid_from, l.enabled, l.winter_limit, l.summer_limit
from alarm_rule r join alarm_limit l using (rule_id)
where r.facility_id = %(facility_id)s and r.commodity = %(commodity)s and l.valid_from < %(to_at)s
order by r.kind, l.valid_from

-- save_rule --
-- A rule and its channels, made when it is first set.
insert into alarm_rule (facility_id, commodity, kind, channels)
values (%(facility_id)s, %(commodity)s, %(kind)s, %(channels)s)
on conflict (facility_id, commodity, kind) do update set channels = excluded.channels
returning rule_id

-- save_limit --
-- A new limit from now on; older ones stay, history keeps the limit it was judged by.
insert into alarm_limit (rule_id, valid_from, enabled, winter_limit, summer_limit, set_by)
values (%(rule_id)s, %(valid_from)s, %(enabled)s, %(winter_limit)s, %(summer_limit)s, %(set_by)s)
on conflict (rule_id, valid_from) do update
set enabled = excluded.enabled, winter_limit = excluded.winter_limit, summer_limit = excluded.summer_limit,
    set_by = excluded.set_by, set_at = now()

-- notices --
-- A person's notices, newest first; a facility no longer in the scope takes its notices with it.
select n.notice_id, n.facility_id, f.name as facility_name, n.created_at, n.read_at, n.title, n.body
from notice n join facility f using (facility_id)
where n.user_id = %(user_id)s and n.facility_id = any(%(facility_ids)s)
  and n.notice_id > %(after_id)s and (%(before_id)s::int8 is null or n.notice_id < %(before_id)s)
  and (%(facility_id)s::int is null or n.facility_id = %(facility_id)s)
  and (not %(unread)s or n.read_at is null)
order by n.notice_id desc
limit %(limit)s

-- unread --
-- The number on the bell.
select count(*) from notice
where user_id = %(user_id)s and facility_id = any(%(facility_ids)s) and read_at is null

-- read_notice --
-- Reading twice changes nothing; the first time stays.
update notice set read_at = coalesce(read_at, %(now_at)s)
where notice_id = %(notice_id)s and user_id = %(user_id)s and facility_id = any(%(facility_ids)s)

-- read_all_notices --
-- Up to the newest the person has seen, so that one that came meanwhile stays unread.
update notice set read_at = %(now_at)s
where user_id = %(user_id)s and facility_id = any(%(facility_ids)s) and notice_id <= %(up_to)s and read_at is null

-- findings --
-- What the engine doubts.
select d.finding_id, d.facility_id, f.name as facility_name, m.identity_text as meter, d.kind, d.at, d.detail,
       d.found_at
from finding d join facility f using (facility_id) join meter m using (meter_id)
where d.facility_id = any(%(facility_ids)s) and d.at >= %(from_at)s and d.at < %(to_at)s
order by d.at desc, d.finding_id desc
limit %(limit)s

-- not_stored --
-- Telegrams in quarantine (3) or waiting (4), newest first.
select received_at, telegram_id, source, address, identity, at, outcome, reason, detail,
       encode(substring(payload from 1 for 512), 'hex') as payload_hex, length(payload) as payload_bytes
from telegram
where outcome = any(%(outcomes)s) and received_at >= %(from_at)s and received_at < %(to_at)s
  and (%(reason)s::text is null or reason = %(reason)s)
order by received_at desc, telegram_id desc
limit %(limit)s

-- unclaimed --
-- Meters somebody hears but nobody has claimed: their telegrams wait.
select t.identity, count(*)::int8 as telegrams, min(t.received_at) as first_at, max(t.received_at) as last_at,
       max(t.reason) as reason, array_agg(distinct t.source) as sources
from telegram t
where t.outcome = 4 and t.identity is not null
  and not exists (select from meter m join installation i using (meter_id) where m.identity = t.identity)
group by t.identity
order by max(t.received_at) desc
limit %(limit)s

-- pulse --
-- What changes when something new has come for a facility: its newest hours and its newest transition.
select f.facility_id,
       (select max(h.start_at) from (select distinct commodity from installation i
                                     where i.facility_id = f.facility_id) c
        cross join lateral (select start_at from hour where hour.facility_id = f.facility_id
                            and hour.commodity = c.commodity order by start_at desc limit 1) h) as hour_at,
       (select max(t.transition_id) from alarm_transition t join alarm_occurrence a using (occurrence_id)
        where a.facility_id = f.facility_id) as transition_id
from facility f
where f.facility_id = any(%(facility_ids)s)

-- alive --
-- Readiness: the database answers and has our schema.
select count(*) from session where false
