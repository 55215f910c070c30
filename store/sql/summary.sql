-- outcomes --
-- What became of every envelope.
select outcome, count(*) from telegram group by outcome

-- rows --
-- How much the engine has made of it.
select (select count(*) from hour), (select count(*) from day), (select count(*) from notice),
    (select count(*) from delivery where channel = 'mail' and state = 'sent')

-- alarms --
-- Raisings and clearings by kind and season of the occurrence.
select o.kind, o.season, count(*) filter (where t.event = 'raise'), count(*) filter (where t.event = 'clear')
from alarm_occurrence o join alarm_transition t using (occurrence_id) group by 1, 2

-- pending --
-- Work that some role still has before it; all zero when every role is idle.
select (select count(*) from ledger), (select count(*) from outbox where expanded_at is null),
    (select count(*) from delivery where state in ('new', 'sending'))

-- conservation --
-- Hours against registers, independently of the engine: of every installation the register's difference
-- between its first and last reading on a whole hour, and the sum of that facility's hours between them.
with counted as (
    select i.facility_id, i.commodity, i.sign, r.at,
        case i.energy_register when 'energy_j' then r.energy_j else r.cooling_energy_j end as energy_j
    from reading r join installation i using (meter_id)
    where r.at = date_trunc('hour', r.at) and r.at >= i.installed_at and r.at < i.removed_at),
ends as (
    select facility_id, commodity, sign, min(at) as from_at, max(at) as until_at
    from counted where energy_j is not null group by 1, 2, 3),
registers as (
    select e.*, l.energy_j - f.energy_j as energy_j from ends e
    join counted f on (f.facility_id, f.commodity, f.at) = (e.facility_id, e.commodity, e.from_at)
    join counted l on (l.facility_id, l.commodity, l.at) = (e.facility_id, e.commodity, e.until_at))
select coalesce(sum(abs(g.sign * g.energy_j - coalesce(
    (select sum(h.energy_j) from hour h where (h.facility_id, h.commodity) = (g.facility_id, g.commodity)
        and h.start_at >= g.from_at and h.start_at < g.until_at), 0))), 0)::bigint
from registers g

-- energy --
-- A facility's energy between two hours, as the portal would add it up.
select coalesce(sum(h.energy_j), 0)::bigint from hour h join facility f using (facility_id)
where f.name = %(name)s and h.commodity = %(commodity)s and h.start_at >= %(from_at)s and h.start_at < %(until_at)s

-- judged_until --
-- How far the engine has come.
select max(start_at) from hour
