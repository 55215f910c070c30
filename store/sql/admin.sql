-- put_customer --
-- Known by its number, so that setting up twice changes nothing but the name.
insert into customer(number, name) values (%(number)s, %(name)s)
on conflict (number) do update set name = excluded.name
returning customer_id

-- put_station --
-- A weather station is known by its code.
insert into station(code, name) values (%(code)s, %(name)s)
on conflict (code) do update set name = excluded.name
returning station_id

-- add_facility --
-- The id decides the shard, evenly; it is drawn first because the column is never null.
with drawn as (
    select nextval(pg_get_serial_sequence('facility', 'facility_id'))::int as facility_id
)
insert into facility(
    facility_id, shard, customer_id, station_id, metering_point, name, address, building_type,
    built_year, heated_area_m2
)
overriding system value
select facility_id, facility_id %% %(shards)s, %(customer_id)s, %(station_id)s, %(metering_point)s,
    %(name)s, %(address)s, %(building_type)s, %(built_year)s, %(heated_area_m2)s
from drawn
returning facility_id

-- facilities --
-- What the operator looks at before naming a facility.
select f.facility_id, f.name, f.metering_point, f.address, c.number, c.name, s.code,
    array(
        select m.identity_text from installation i join meter m using (meter_id)
        where i.facility_id = f.facility_id and i.removed_at = 'infinity' order by 1
    )
from facility f
join customer c using (customer_id)
left join station s using (station_id)
order by f.facility_id

-- find_facility --
-- By id or by metering point, as people have it at hand.
select facility_id from facility
where facility_id::text = %(facility)s or metering_point = %(facility)s

-- put_meter --
-- A meter seen before being registered keeps what its telegrams taught about its steps.
insert into meter(identity, identity_text, profile, energy_modulus_j, volume_modulus_ml, qs_l_h)
values (%(identity)s, %(identity_text)s, %(profile)s, %(energy_modulus_j)s, %(volume_modulus_ml)s, %(qs_l_h)s)
on conflict (identity) do update set
    profile = coalesce(excluded.profile, meter.profile),
    energy_modulus_j = coalesce(excluded.energy_modulus_j, meter.energy_modulus_j),
    volume_modulus_ml = coalesce(excluded.volume_modulus_ml, meter.volume_modulus_ml),
    qs_l_h = coalesce(excluded.qs_l_h, meter.qs_l_h)
returning meter_id

-- overlapping_installations --
-- One register of one meter belongs to one place at a time.
select i.installation_id, f.facility_id, f.name, i.installed_at = %(installed_at)s
    and i.facility_id = %(facility_id)s and i.commodity = %(commodity)s and i.sign = %(sign)s
from installation i join facility f using (facility_id)
where i.meter_id = %(meter_id)s and i.energy_register = %(energy_register)s
    and i.installed_at < %(removed_at)s and i.removed_at > %(installed_at)s

-- add_installation --
-- From here on the meter is claimed.
insert into installation(meter_id, facility_id, commodity, energy_register, sign, installed_at, removed_at)
values (%(meter_id)s, %(facility_id)s, %(commodity)s, %(energy_register)s, %(sign)s, %(installed_at)s, %(removed_at)s)
returning installation_id

-- allow_gateway --
-- Once a gateway is named for a meter, no other may speak for it.
with known as (insert into gateway(gateway_id) values (%(gateway_id)s) on conflict do nothing)
insert into gateway_meter(gateway_id, meter_id) values (%(gateway_id)s, %(meter_id)s)
on conflict do nothing

-- meters --
-- Where each meter sits and when it was last heard.
select m.meter_id, m.identity_text, m.profile, i.facility_id, f.name, i.commodity, i.energy_register,
    (select max(r.at) from reading r where r.meter_id = m.meter_id)
from meter m
left join installation i on i.meter_id = m.meter_id and i.removed_at = 'infinity'
left join facility f on f.facility_id = i.facility_id
order by m.identity_text, i.energy_register

-- unclaimed --
-- Meters that speak and belong to nobody: their telegrams wait in the archive.
select identity, count(*), min(received_at), max(received_at),
    (array_agg(source || ' ' || address order by received_at desc))[1]
from telegram where outcome = 4 and identity is not null
group by identity order by max(received_at) desc

-- quarantine --
-- What was refused, newest first, with its bytes, to be looked at.
select telegram_id, received_at, source, address, identity, reason, detail, payload
from telegram where outcome = 3 order by received_at desc limit %(limit)s

-- put_user --
-- Known by the mail address; a second call changes name and password.
insert into app_user(email, name, phone, language, password_hash)
values (%(email)s, %(name)s, %(phone)s, %(language)s, %(password_hash)s)
on conflict (email) do update set
    name = excluded.name, phone = coalesce(excluded.phone, app_user.phone),
    language = excluded.language, password_hash = excluded.password_hash
returning user_id

-- customer_ids --
-- Which of these numbers exist.
select number, customer_id from customer where number = any(%(numbers)s)

-- grant_customer --
-- A person sees the customers granted to her, and nothing else.
insert into grant_customer(user_id, customer_id, level)
values (%(user_id)s, %(customer_id)s, %(level)s)
on conflict (user_id, customer_id) do update set level = excluded.level
