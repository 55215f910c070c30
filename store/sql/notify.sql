-- take_events --
-- Transitions nobody has been told of yet, with all that a text for people needs; several workers share them.
select o.event_id, o.transition_id, o.portal_only, t.event, t.from_state, t.to_state, t.source_at, t.value,
       a.occurrence_id, a.kind, a.commodity, a.since, a.until, a.season, a.limit_value, a.raised_value,
       a.extreme_value, a.window_h, r.channels, r.recipients, f.facility_id, f.name as facility_name, f.customer_id
from outbox o
join alarm_transition t using (transition_id)
join alarm_occurrence a using (occurrence_id)
join alarm_rule r using (rule_id)
join facility f on f.facility_id = a.facility_id
where o.expanded_at is null
order by o.event_id
limit %(limit)s
for update of o skip locked

-- people_of_customers --
-- Who holds a grant on these customers: only they may be told of their facilities.
select g.customer_id, u.user_id, u.language
from grant_customer g
join app_user u using (user_id)
where g.customer_id = any(%(customer_ids)s)
order by g.customer_id, u.user_id

-- add_delivery --
-- A delivery decided once stays as it was: the same event expanded again changes nothing.
insert into delivery (transition_id, channel, recipient, state, sent_at)
values (%(transition_id)s, %(channel)s, %(recipient)s, %(state)s, case when %(state)s = 'sent' then now() end)
on conflict (transition_id, channel, recipient) do nothing

-- add_notice --
-- The notice itself, one per person and transition, in that person's language.
insert into notice (transition_id, user_id, facility_id, created_at, title, body)
values (%(transition_id)s, %(user_id)s, %(facility_id)s, %(created_at)s, %(title)s, %(body)s)
on conflict (transition_id, user_id) do nothing
returning notice_id

-- announce_notice --
-- Wakes the portals that listen; the payload is numbers only, they read the row themselves.
select pg_notify('fjarrvakt_notice', %(user_id)s || ':' || %(notice_id)s)

-- stamp_event --
-- Same transaction as its deliveries: expanded exactly once.
update outbox set expanded_at = now() where event_id = any(%(event_ids)s)

-- claim_mail --
-- Takes deliveries that are due, or whose worker died (lease ran out). Time is the database's: leases are
-- shared between processes and must not follow a simulated clock.
update delivery d
set state = 'sending', tries = tries + 1, lease_until = now() + %(lease_s)s * interval '1 second'
where delivery_id in (
    select delivery_id from delivery
    where channel = 'mail' and due <= now() and (state = 'new' or (state = 'sending' and lease_until < now()))
    order by due, delivery_id
    limit %(limit)s
    for update skip locked)
returning d.delivery_id, d.transition_id, d.recipient, d.tries, d.message_id

-- describe_mail --
-- What the claimed deliveries say and to whom. Read after the claim, so an address changed since is used.
select d.delivery_id, u.email, u.language, t.transition_id, t.event, t.from_state, t.to_state, t.source_at, t.value,
       a.occurrence_id, a.kind, a.commodity, a.since, a.until, a.season, a.limit_value, a.raised_value,
       a.extreme_value, a.window_h, f.facility_id, f.name as facility_name
from delivery d
join app_user u on u.user_id = d.recipient
join alarm_transition t using (transition_id)
join alarm_occurrence a using (occurrence_id)
join facility f on f.facility_id = a.facility_id
where d.delivery_id = any(%(delivery_ids)s)

-- begin_data --
-- Committed right before the text goes out: from here until its outcome is known a copy may exist.
-- `tries` is the fencing token of a claim: whoever claimed again raised it, and the old holder writes nothing.
update delivery set message_id = %(message_id)s, lease_until = now() + %(lease_s)s * interval '1 second'
where delivery_id = %(delivery_id)s and state = 'sending' and tries = %(tries)s

-- mark_sent --
-- The server said 250; message_id stays as proof of what was sent.
update delivery set state = 'sent', sent_at = now(), provider_id = %(answer)s, last_error = null, lease_until = null
where delivery_id = %(delivery_id)s and state = 'sending' and tries = %(tries)s

-- mark_retry --
-- Tried again later. message_id is cleared when it is certain that no copy went out.
update delivery
set state = 'new', due = now() + %(delay_s)s * interval '1 second', last_error = %(error)s, lease_until = null,
    message_id = case when %(uncertain)s then message_id end
where delivery_id = %(delivery_id)s and state = 'sending' and tries = %(tries)s

-- mark_failed --
-- Ended, visibly: refused for good, or tried as often as allowed.
update delivery set state = 'failed', last_error = %(error)s, lease_until = null
where delivery_id = %(delivery_id)s and state = 'sending' and tries = %(tries)s

-- depth --
-- What waits, for the metrics.
select (select count(*) from outbox where expanded_at is null) as events,
       (select count(*) from delivery where state in ('new', 'sending')) as deliveries
