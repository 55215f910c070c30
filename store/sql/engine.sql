-- waiting_span --
-- What the backlog spans, so that partitions can be made before the transaction that fills them.
select min(f), max(u), count(distinct entry_id)
from ledger, unnest(from_at, until_at) as t(f, u)

-- take_shards --
-- Shards with work, the longest waiting first, that no other worker holds. The lock comes before the reading of
-- entries: an entry committed later waits for the next turn, none slips between.
select shard
from (select shard from ledger group by shard order by min(entry_id)) waiting
where pg_try_advisory_xact_lock(%(space)s, shard)
limit %(limit)s

-- entries --
-- The work of the locked shards, one row per facility and entry; at most so many entries a turn, oldest first.
select e.entry_id, t.facility_id,
       (extract(epoch from t.from_at) * 1000000)::bigint, (extract(epoch from t.until_at) * 1000000)::bigint
from (select * from ledger where shard = any(%(shards)s) order by entry_id limit %(limit)s) e,
     unnest(e.facility_ids, e.from_at, e.until_at) as t(facility_id, from_at, until_at)

-- remove_entries --
-- Exactly those that were read.
delete from ledger where entry_id = any(%(entry_ids)s)

-- enqueue --
-- Ask for facilities to be computed again: changed limits, installations, or by hand.
insert into ledger (shard, facility_ids, from_at, until_at)
select shard, array_agg(facility_id), array_agg(%(from_at)s::timestamptz), array_agg(%(until_at)s::timestamptz)
from facility where facility_id = any(%(facility_ids)s)
group by shard

-- installations --
-- Where the facilities' meters sit, and what is known of the meters. Infinity becomes null.
select i.facility_id, i.commodity, i.meter_id, i.energy_register = 'cooling_energy_j', i.sign,
       case when isfinite(i.installed_at) then (extract(epoch from i.installed_at) * 1000000)::bigint end,
       case when isfinite(i.removed_at) then (extract(epoch from i.removed_at) * 1000000)::bigint end,
       m.energy_step_j, m.volume_step_ml, coalesce(m.energy_modulus_j, 0), coalesce(m.volume_modulus_ml, 0),
       coalesce(m.qs_l_h, 0)
from installation i join meter m using (meter_id)
where i.facility_id = any(%(facility_ids)s)

-- reading_edges --
-- Oldest and newest reading of all: no context is to be sought beyond them. Both ends of the key's index.
select (extract(epoch from (select at from reading order by at limit 1)) * 1000000)::bigint,
       (extract(epoch from (select at from reading order by at desc limit 1)) * 1000000)::bigint

-- readings --
-- The registers of some meters in a window, through the key (at, meter_id); ordered for the engine.
select meter_id, at, coalesce(energy_j, %(missing)s), coalesce(cooling_energy_j, %(missing)s),
       coalesce(volume_ml, %(missing)s), coalesce(e8_mlc, %(missing)s), coalesce(e9_mlc, %(missing)s),
       coalesce(supply_temp_cc::bigint, %(missing)s), coalesce(return_temp_cc::bigint, %(missing)s)
from reading
where at between %(from_at)s and %(until_at)s and meter_id = any(%(meter_ids)s)
order by meter_id, at

-- reading_telegrams --
-- The telegrams behind doubted readings.
select r.meter_id, (extract(epoch from r.at) * 1000000)::bigint, r.telegram_id
from unnest(%(meter_ids)s::int[], %(at)s::timestamptz[]) as d(meter_id, at) join reading r using (at, meter_id)

-- hours --
-- Stored hours of facilities and commodities from a time of their own on; w is the place in the request.
select w.n, h.start_at, coalesce(h.energy_j, %(missing)s), coalesce(h.volume_ml, %(missing)s),
       coalesce(h.e8_mlc, %(missing)s), coalesce(h.e9_mlc, %(missing)s), h.quality, h.energy_step_j, h.volume_step_ml
from unnest(%(facility_ids)s::int[], %(commodities)s::smallint[], %(from_at)s::timestamptz[],
            %(until_at)s::timestamptz[]) with ordinality as w(facility_id, commodity, from_at, until_at, n)
join hour h on h.facility_id = w.facility_id and h.commodity = w.commodity
           and h.start_at >= w.from_at and h.start_at < w.until_at

-- delete_hours --
-- Hours that are no more, or about to be written anew.
delete from hour h
using unnest(%(facility_ids)s::int[], %(commodities)s::smallint[], %(start_at)s::timestamptz[])
      as d(facility_id, commodity, start_at)
where h.facility_id = d.facility_id and h.commodity = d.commodity and h.start_at = d.start_at
  and h.start_at between %(from_at)s and %(until_at)s

-- days --
-- Stored days of facilities and commodities: from a day on, and the same months a year before.
select w.n, (d.day - date '1970-01-01')::bigint, coalesce(d.energy_j, %(missing)s), coalesce(d.volume_ml, %(missing)s),
       coalesce(d.e8_mlc, %(missing)s), coalesce(d.e9_mlc, %(missing)s), coalesce(d.weighted_energy_j, 0),
       coalesce(d.weighted_return_jc, 0), d.hours, d.hours_measured, d.quality
from unnest(%(facility_ids)s::int[], %(commodities)s::smallint[], %(from_day)s::int[], %(last_year_from)s::int[],
            %(last_year_until)s::int[])
     with ordinality as w(facility_id, commodity, from_day, last_year_from, last_year_until, n)
join day d on d.facility_id = w.facility_id and d.commodity = w.commodity
          and (d.day >= date '1970-01-01' + w.from_day
               or (d.day >= date '1970-01-01' + w.last_year_from and d.day < date '1970-01-01' + w.last_year_until))

-- delete_days --
-- Days about to be written anew.
delete from day d
using unnest(%(facility_ids)s::int[], %(commodities)s::smallint[], %(days)s::int[]) as t(facility_id, commodity, day)
where d.facility_id = t.facility_id and d.commodity = t.commodity and d.day = date '1970-01-01' + t.day

-- put_outdoor --
-- Outdoor temperatures come by ways of their own, before or after the readings of their day; 20 of 24 hours make
-- a mean. The span is widened to whole days.
with wanted as (
    select facility_id, station_id from facility where facility_id = any(%(facility_ids)s)),
mean as (
    select station_id, floor((extract(epoch from start_at) + %(offset_s)s) / 86400)::int as day,
        round(avg(temp_cc))::int as temp_cc
    from outdoor
    where station_id in (select station_id from wanted)
        and start_at >= to_timestamp(floor((extract(epoch from %(from_at)s::timestamptz) + %(offset_s)s) / 86400) * 86400 - %(offset_s)s)
        and start_at < to_timestamp(ceil((extract(epoch from %(until_at)s::timestamptz) + %(offset_s)s) / 86400) * 86400 - %(offset_s)s)
    group by 1, 2
    having count(*) >= 20)
update day d set outdoor_temp_cc = m.temp_cc
from mean m join wanted w using (station_id)
where d.facility_id = w.facility_id and d.day = date '1970-01-01' + m.day
    and d.outdoor_temp_cc is distinct from m.temp_cc

-- forget_findings --
-- Doubts within the judged span that the readings no longer give.
delete from finding f
using unnest(%(meter_ids)s::int[], %(from_at)s::timestamptz[], %(until_at)s::timestamptz[]) as s(meter_id, from_at, until_at)
where f.meter_id = s.meter_id and f.at >= s.from_at and f.at < s.until_at
  and not exists (
      select 1 from unnest(%(kept_meter_ids)s::int[], %(kept_kinds)s::text[], %(kept_at)s::timestamptz[])
                    as k(meter_id, kind, at)
      where k.meter_id = f.meter_id and k.kind = f.kind and k.at = f.at)

-- add_finding --
-- A doubt is listed once; the returned row says that it is new.
insert into finding (facility_id, meter_id, kind, at, telegram_id, detail)
values (%(facility_id)s, %(meter_id)s, %(kind)s, %(at)s, %(telegram_id)s, %(detail)s)
on conflict (meter_id, kind, at) do nothing

-- rules --
-- The alarm rules of facilities with every limit they ever had. Infinity becomes null.
select r.rule_id, r.facility_id, r.commodity, r.kind,
       array_agg(case when isfinite(l.valid_from) then (extract(epoch from l.valid_from) * 1000000)::bigint end
                 order by l.valid_from),
       array_agg(l.enabled::int order by l.valid_from), array_agg(l.winter_limit order by l.valid_from),
       array_agg(l.summer_limit order by l.valid_from)
from alarm_rule r join alarm_limit l using (rule_id)
where r.facility_id = any(%(facility_ids)s)
group by r.rule_id

-- checkpoints --
-- Where judging can go on from, newest first.
select rule_id, (extract(epoch from at) * 1000000)::bigint, state
from alarm_checkpoint
where rule_id = any(%(rule_ids)s)
order by rule_id, at desc

-- forget_checkpoints --
-- Those that are void, or replaced by newer ones.
delete from alarm_checkpoint c
using unnest(%(rule_ids)s::int[], %(after)s::timestamptz[]) as t(rule_id, after)
where c.rule_id = t.rule_id and c.at > t.after

-- add_checkpoint --
-- State of a condition before the step that starts at `at`.
insert into alarm_checkpoint (rule_id, at, state) values (%(rule_id)s, %(at)s, %(state)s)
on conflict (rule_id, at) do update set state = excluded.state

-- occurrences --
-- Raisings that were, or may have been, there after a time of their rule's; locked against a person's act.
select o.rule_id, o.occurrence_id, o.state, (extract(epoch from o.since) * 1000000)::bigint,
       (extract(epoch from o.until) * 1000000)::bigint, o.season, o.limit_value, o.raised_value, o.extreme_value,
       o.window_h
from unnest(%(rule_ids)s::int[], %(after)s::timestamptz[]) as t(rule_id, after)
join alarm_occurrence o on o.rule_id = t.rule_id and (o.until is null or o.until > t.after or o.since >= t.after)
where o.state <> 'withdrawn'
for update of o

-- occurrence_ids --
-- Ids drawn before, so that raisings and their transitions go out without waiting for answers.
select nextval(pg_get_serial_sequence('alarm_occurrence', 'occurrence_id')) from generate_series(1, %(count)s)

-- add_occurrence --
-- A raising; its life begins with its first transition.
insert into alarm_occurrence (occurrence_id, rule_id, facility_id, commodity, kind, since, until, season, limit_value, raised_value,
                              extreme_value, window_h, state, state_at)
overriding system value
values (%(occurrence_id)s, %(rule_id)s, %(facility_id)s, %(commodity)s, %(kind)s, %(since)s, %(until)s, %(season)s, %(limit_value)s,
        %(raised_value)s, %(extreme_value)s, %(window_h)s, %(state)s, %(now)s)

-- update_occurrence --
-- What judging again says of a raising that stays.
update alarm_occurrence
set since = %(since)s, until = %(until)s, season = %(season)s, limit_value = %(limit_value)s,
    raised_value = %(raised_value)s, extreme_value = %(extreme_value)s, window_h = %(window_h)s
where occurrence_id = %(occurrence_id)s

-- move_occurrence --
-- One transition: the state, its record and, when it is to be told, the outbox event. One statement, so that none
-- of the three can exist without the others.
with moved as (
    update alarm_occurrence
    set state = %(to_state)s, state_at = %(now)s,
        acknowledged_by = case when %(event)s = 'acknowledge' then %(actor)s else acknowledged_by end
    where occurrence_id = %(occurrence_id)s
), transition as (
    insert into alarm_transition (occurrence_id, event, from_state, to_state, source_at, decided_at, actor, reason, value)
    values (%(occurrence_id)s, %(event)s, %(from_state)s, %(to_state)s, %(source_at)s, %(now)s, %(actor)s, %(reason)s,
            %(value)s)
    returning transition_id
)
insert into outbox (transition_id, portal_only, created_at)
select transition_id, %(portal_only)s, %(now)s from transition where %(told)s

-- lock_occurrence --
-- The occurrence a person acts on.
select state, facility_id from alarm_occurrence where occurrence_id = %(occurrence_id)s for update

-- announce --
-- Wakes the portals that show these facilities; sent when the transaction commits.
select pg_notify('fjarrvakt_change', facility_id::text) from unnest(%(facility_ids)s::int[]) as t(facility_id)
