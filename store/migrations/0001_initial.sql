-- The whole schema. Times are timestamptz (UTC inside); counters are J, ml and ml·°C, gauges W, l/h and
-- 0.01 °C, all integers. `/* PARTITION BY … */` counts on plain
-- PostgreSQL; where TimescaleDB is, store/partitions.py makes these tables hypertables instead.

-- One row per journal that ever wrote here. last_position commits with the rows it covers, so no crash
-- applies a batch twice.
create table journal (
    journal_id smallint generated always as identity primary key,
    journal_uuid uuid not null unique,
    host text not null,
    last_position bigint not null default 0
);

-- Master data ------------------------------------------------------------------------------------------

create table customer (
    customer_id int generated always as identity primary key,
    number text not null unique,
    name text not null,
    organisation_number text
);

create table station (
    station_id int generated always as identity primary key,
    code text not null unique,                  -- SMHI's number or the operator's own
    name text not null
);

create table facility (
    facility_id int generated always as identity primary key,
    shard smallint not null,                    -- hash(facility); all that belongs to it inherits it
    customer_id int not null references customer,
    station_id int references station,
    metering_point text unique,
    name text not null,
    address text not null default '',
    building_type text,
    built_year smallint,
    heated_area_m2 int
);
create index on facility (customer_id);         -- one customer's facilities

create table gateway (
    gateway_id text primary key,                -- its name on the broker, or the bus's
    name text not null default '',
    last_heard_at timestamptz
);

-- A meter is known by its secondary address; steps and moduli come from its profile or its telegrams.
create table meter (
    meter_id int generated always as identity primary key,
    identity bigint not null unique,            -- adapters/identity.py
    identity_text text not null,
    profile text,                               -- config/profiles, null: what the standard says
    energy_step_j bigint not null default 0,    -- what one count means; 0 = not known
    volume_step_ml bigint not null default 0,
    energy_modulus_j bigint,                    -- where the register wraps; null = never
    volume_modulus_ml bigint,
    qs_l_h int                                  -- greatest flow, caps a step; null = not known
);

-- Which gateways may speak for a meter. None named: any may.
create table gateway_meter (
    gateway_id text not null references gateway on delete cascade,
    meter_id int not null references meter on delete cascade,
    primary key (gateway_id, meter_id)
);

-- Where a meter sits and from when to when. commodity: 1 heat, 2 cooling. A claimed meter has a row here.
create table installation (
    installation_id int generated always as identity primary key,
    meter_id int not null references meter,
    facility_id int not null references facility,
    commodity smallint not null check (commodity in (1, 2)),
    energy_register text not null default 'energy_j' check (energy_register in ('energy_j', 'cooling_energy_j')),
    sign smallint not null default 1 check (sign in (-1, 1)),
    installed_at timestamptz not null default '-infinity',
    removed_at timestamptz not null default 'infinity'
);
create index on installation (facility_id);
create index on installation (meter_id);

-- Ingest listens: a meter that gets an owner releases the telegrams that wait for it.
create function notify_registry() returns trigger language plpgsql as
$$ begin perform pg_notify('fjarrvakt_registry', ''); return null; end $$;
create trigger registry after insert or delete or update of identity, profile on meter
    for each statement execute function notify_registry();
create trigger registry after insert or update or delete on facility
    for each statement execute function notify_registry();
create trigger registry after insert or update or delete on station
    for each statement execute function notify_registry();
create trigger registry after insert or update or delete on installation
    for each statement execute function notify_registry();
create trigger registry after insert or update or delete on gateway_meter
    for each statement execute function notify_registry();

-- Measurements -----------------------------------------------------------------------------------------

-- Every journaled envelope has exactly one row here with exactly one outcome:
-- 1 stored, 2 duplicate, 3 quarantined, 4 waiting. telegram_id = journal_id << 48 | journal position.
create table telegram (
    received_at timestamptz not null,
    telegram_id bigint not null,
    source text not null,                       -- protocol:name, for instance mqtt:main, mbus:cellar
    address text not null,                      -- topic, primary address
    identity bigint,                            -- null: undecodable
    access smallint not null default -1,
    content_hash bigint,
    at timestamptz,                             -- time measured of the first row
    outcome smallint not null check (outcome between 1 and 4),
    reason text,                                -- null when stored
    detail text,
    payload bytea not null,
    primary key (received_at, telegram_id)
) /* PARTITION BY RANGE (received_at) */;
create index telegram_not_stored on telegram (outcome, received_at) where outcome in (3, 4);  -- quarantine, unclaimed
create index telegram_without_row on telegram (identity, at) where outcome in (2, 3);  -- copies and losers, when a rival comes
create index telegram_waiting on telegram (identity) where outcome = 4;                -- released when its owner is known

-- One row per meter and time measured. quality: two bits a register (adapters/registers.py).
create table reading (
    at timestamptz not null,
    meter_id int not null,
    energy_j bigint,
    cooling_energy_j bigint,
    volume_ml bigint,
    e8_mlc bigint,
    e9_mlc bigint,
    power_w int,
    flow_l_h int,
    supply_temp_cc smallint,
    return_temp_cc smallint,
    operating_h int,
    error_h int,
    info_code int,
    quality int not null default 0,
    status smallint not null default 0,         -- status byte of the telegram
    access smallint not null default -1,
    content_hash bigint not null,
    meter_clock_at timestamptz,
    received_at timestamptz not null,
    stored_at timestamptz not null,
    telegram_id bigint not null,
    decoder_version smallint not null,
    primary key (at, meter_id)                  -- live data grow the index at its right edge
) /* PARTITION BY RANGE (at) */;

-- Rows that were replaced or lost their place, as they were.
create table reading_superseded (
    at timestamptz not null,
    meter_id int not null,
    superseded_at timestamptz not null default now(),
    reason text not null,                       -- decoded_again, correction, earlier_copy, smaller_hash
    reading jsonb not null
);
create index on reading_superseded (meter_id, at);

create table outdoor (
    station_id int not null references station,
    start_at timestamptz not null,
    temp_cc smallint not null,
    telegram_id bigint not null,
    primary key (station_id, start_at)
);

-- Append-only work list of the engine: one entry per committed batch and shard. The three arrays run in
-- parallel: facility and the span of readings touched, [from, until].
create table ledger (
    entry_id bigint generated always as identity primary key,
    shard smallint not null,
    committed_at timestamptz not null default now(),
    facility_ids int[] not null,
    from_at timestamptz[] not null,
    until_at timestamptz[] not null
);
create index on ledger (shard);                 -- a worker takes one shard's entries

-- Hour of normal time [start, start + 1 h). Sums, so any period adds up; quality is engine/types.py Quality.
create table hour (
    facility_id int not null,
    commodity smallint not null,
    start_at timestamptz not null,
    energy_j bigint,                            -- null: no trustworthy value
    volume_ml bigint,
    e8_mlc bigint,
    e9_mlc bigint,
    quality smallint not null,
    energy_step_j bigint not null default 0,    -- resolution behind the hour, for the window rule
    volume_step_ml bigint not null default 0,
    method_version smallint not null,
    primary key (facility_id, commodity, start_at)
) /* PARTITION BY RANGE (start_at) */;

-- Metering day of 24 hours in normal time, named by its date there.
create table day (
    facility_id int not null,
    commodity smallint not null,
    day date not null,
    energy_j bigint,
    volume_ml bigint,
    e8_mlc bigint,
    e9_mlc bigint,
    weighted_energy_j bigint,                   -- sum of E over hours with E > 0 and V > 0 ...
    weighted_return_jc bigint,                  -- ... and of E * return temperature [J·°C] over the same
    hours smallint not null,                    -- hours with a value
    hours_measured smallint not null,           -- of these M or I
    outdoor_temp_cc smallint,
    quality smallint not null,
    method_version smallint not null,
    primary key (facility_id, commodity, day)
);

-- What the engine doubts: the reading stays, the interval is flagged.
create table finding (
    finding_id bigint generated always as identity primary key,
    facility_id int not null,
    meter_id int not null,
    kind text not null,                         -- NEGATIVE_STEP, EXCHANGE_SUSPECTED, ...
    at timestamptz not null,
    telegram_id bigint not null,
    detail text not null,
    found_at timestamptz not null default now(),
    unique (meter_id, kind, at)
);
create index on finding (facility_id, at);

-- Alarms -----------------------------------------------------------------------------------------------

create table alarm_rule (
    rule_id int generated always as identity primary key,
    facility_id int not null references facility,
    commodity smallint not null,
    kind text not null check (kind in ('return_temperature', 'daily_power', 'hourly_power', 'energy_weighted_return')),
    channels text[] not null default '{portal}',
    recipients int[] not null default '{}',     -- app_user ids
    unique (facility_id, commodity, kind)
);

-- Limits hold from a time on, so history keeps the limit it was judged by. Unit: 0.01 °C or W.
create table alarm_limit (
    rule_id int not null references alarm_rule on delete cascade,
    valid_from timestamptz not null,
    enabled boolean not null default true,
    winter_limit int not null,
    summer_limit int not null,
    set_by text not null,
    set_at timestamptz not null default now(),
    primary key (rule_id, valid_from)
);

-- The condition's state after the last judged step before `at`; the month starts and the newest are kept.
create table alarm_checkpoint (
    rule_id int not null references alarm_rule on delete cascade,
    at timestamptz not null,
    state bigint[] not null,                    -- engine/conditions.py
    primary key (rule_id, at)
);

-- One raising of one alarm: condition (since, until) and life cycle (state), kept apart.
create table alarm_occurrence (
    occurrence_id bigint generated always as identity primary key,
    rule_id int not null references alarm_rule on delete cascade,
    facility_id int not null,
    commodity smallint not null,
    kind text not null,
    since timestamptz not null,                 -- when the condition was fulfilled (delay passed)
    until timestamptz,                          -- when it cleared; null: still holds
    season text not null check (season in ('winter', 'summer')),
    limit_value int not null,
    raised_value int not null,                  -- the value that completed the raising
    extreme_value int not null,
    window_h smallint not null default 1,       -- hours the value was taken over, for coarse registers
    state text not null,                        -- engine/lifecycle.py
    state_at timestamptz not null,
    acknowledged_by text,
    told boolean not null default false
);
create index on alarm_occurrence (rule_id, since);
create index on alarm_occurrence (facility_id, since desc);
create index on alarm_occurrence (state) where state not in ('normal', 'withdrawn');

create table alarm_transition (
    transition_id bigint generated always as identity primary key,
    occurrence_id bigint not null references alarm_occurrence on delete cascade,
    event text not null,
    from_state text not null,
    to_state text not null,
    source_at timestamptz not null,             -- time of the readings
    decided_at timestamptz not null default now(),
    actor text not null,
    reason text not null,
    value int
);
create index on alarm_transition (occurrence_id);

-- One event per transition, written with it; notify expands it into deliveries and stamps it.
create table outbox (
    event_id bigint generated always as identity primary key,
    transition_id bigint not null unique references alarm_transition on delete cascade,
    portal_only boolean not null default false, -- judged from old readings: a notice, no mail
    created_at timestamptz not null default now(),
    expanded_at timestamptz
);
create index outbox_waiting on outbox (event_id) where expanded_at is null;

create table app_user (
    user_id int generated always as identity primary key,
    email text not null unique,
    name text not null,
    phone text,
    language text not null default 'sv',
    password_hash text not null
);

-- level: admin, full, read
create table grant_customer (
    user_id int not null references app_user on delete cascade,
    customer_id int not null references customer on delete cascade,
    level text not null check (level in ('admin', 'full', 'read')),
    primary key (user_id, customer_id)
);

-- SHA-256 of the random session id in the cookie.
create table session (
    session_hash bytea primary key,
    user_id int not null references app_user on delete cascade,
    created_at timestamptz not null default now(),
    seen_at timestamptz not null default now(),
    csrf_token text not null
);

create table delivery (
    delivery_id bigint generated always as identity primary key,
    transition_id bigint not null references alarm_transition on delete cascade,
    channel text not null check (channel in ('portal', 'mail', 'sms')),
    recipient int not null references app_user on delete cascade,
    state text not null default 'new',          -- new -> sending -> sent | failed | unknown | suppressed
    due timestamptz not null default now(),
    tries smallint not null default 0,
    lease_until timestamptz,
    message_id text,
    provider_id text,
    last_error text,
    sent_at timestamptz,
    unique (transition_id, channel, recipient)
);
create index delivery_due on delivery (due) where state in ('new', 'sending');

create table notice (
    notice_id bigint generated always as identity primary key,
    transition_id bigint not null references alarm_transition on delete cascade,
    user_id int not null references app_user on delete cascade,
    facility_id int not null,
    created_at timestamptz not null default now(),
    read_at timestamptz,
    title text not null,
    body text not null,
    unique (transition_id, user_id)
);
create index on notice (user_id, notice_id desc);
