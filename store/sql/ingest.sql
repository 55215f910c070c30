-- open_journal --
-- A journal makes itself known by its uuid and learns how far the database has taken it.
insert into journal(journal_uuid, host) values (%(uuid)s, %(host)s)
on conflict (journal_uuid) do update set host = excluded.host
returning journal_id, last_position

-- advance_journal --
-- In the rows' own transaction; the guard makes a second drainer's batch fail instead of doubling it.
update journal set last_position = %(position)s
where journal_id = %(journal_id)s and last_position = %(expected)s

-- meters --
-- The whole registry: ingest keeps it in memory and asks again when told of a change.
select m.meter_id, m.identity, m.profile, m.energy_step_j, m.volume_step_ml,
    array(select g.gateway_id from gateway_meter g where g.meter_id = m.meter_id) as gateways,
    coalesce(array_agg(distinct i.facility_id) filter (where i.facility_id is not null), '{}') as facilities
from meter m left join installation i using (meter_id)
group by m.meter_id

-- facility_shards --
-- Where a facility's work goes.
select facility_id, shard, station_id from facility

-- learn_steps --
-- What one count of a register means is read from the meter's own telegrams.
update meter m set energy_step_j = s.energy_step_j, volume_step_ml = s.volume_step_ml
from unnest(%(meter_ids)s::int[], %(energy)s::bigint[], %(volume)s::bigint[])
    as s(meter_id, energy_step_j, volume_step_ml)
where m.meter_id = s.meter_id

-- heard_gateways --
-- When each gateway was last heard; unknown ones become visible here.
insert into gateway(gateway_id, last_heard_at)
select * from unnest(%(gateway_ids)s::text[], %(heard_at)s::timestamptz[])
on conflict (gateway_id) do update set last_heard_at = greatest(gateway.last_heard_at, excluded.last_heard_at)

-- rivals --
-- Rows that a new reading of the same meter could be a copy of, or clash with.
select r.at, r.meter_id, r.access::int8, r.content_hash, r.received_at, r.telegram_id
from unnest(%(from_at)s::timestamptz[], %(until_at)s::timestamptz[]) as span(from_at, until_at)
join reading r on r.at between span.from_at and span.until_at
where r.meter_id = any(%(meter_ids)s::int[])

-- archived_rivals --
-- Copies and losers that may get a row when what beat them moves.
select telegram_id, received_at, source, address, payload from telegram
where identity = %(identity)s and outcome in (2, 3)
    and reason in ('copy', 'other_content') and at between %(from_at)s and %(until_at)s

-- supersede --
-- A row that loses its place is kept as it was.
with gone as (
    delete from reading r
    using unnest(%(at)s::timestamptz[], %(meter_ids)s::int[], %(reasons)s::text[]) as k(at, meter_id, reason)
    where r.at = k.at and r.meter_id = k.meter_id returning r.*, k.reason)
insert into reading_superseded(at, meter_id, reason, reading)
select at, meter_id, reason, to_jsonb(gone) - 'reason' from gone

-- change_outcome --
-- An archived telegram's outcome after a rival came, or its owner became known.
update telegram t set outcome = c.outcome, reason = c.reason, detail = c.detail,
    identity = coalesce(c.identity, t.identity), at = coalesce(c.at, t.at)
from unnest(%(received_at)s::timestamptz[], %(telegram_ids)s::bigint[], %(outcomes)s::int[], %(reasons)s::text[],
    %(details)s::text[], %(identities)s::bigint[], %(ats)s::timestamptz[])
    as c(received_at, telegram_id, outcome, reason, detail, identity, at)
where t.received_at = c.received_at and t.telegram_id = c.telegram_id

-- waiting --
-- Telegrams whose meter now has an owner.
select t.telegram_id, t.received_at, t.source, t.address, t.payload from telegram t
where t.outcome = 4 and t.reason = 'unclaimed' and t.identity = any(%(identities)s::bigint[])
order by t.received_at, t.telegram_id limit %(limit)s

-- waiting_identities --
-- Who waits at all; few, through the partial index.
select distinct identity from telegram where outcome = 4 and reason = 'unclaimed'

-- stations --
-- Weather stations by code.
select code, station_id from station

-- put_outdoor --
-- A later telegram for the same hour replaces the temperature.
insert into outdoor(station_id, start_at, temp_cc, telegram_id)
select distinct on (station_id, start_at) * from unnest(%(station_ids)s::int[], %(start_at)s::timestamptz[],
    %(temp_cc)s::int[], %(telegram_ids)s::bigint[]) as n(station_id, start_at, temp_cc, telegram_id)
order by station_id, start_at, telegram_id desc
on conflict (station_id, start_at) do update set temp_cc = excluded.temp_cc, telegram_id = excluded.telegram_id
where outdoor.telegram_id < excluded.telegram_id

-- add_ledger --
-- One entry per batch and shard; the engine takes it from here.
insert into ledger(shard, facility_ids, from_at, until_at) values (%(shard)s, %(facility_ids)s, %(from_at)s, %(until_at)s)
