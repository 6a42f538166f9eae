-- +goose NO TRANSACTION

-- +goose Up

-- Nothing here is undone when a later statement fails, so all of it can be run
-- again.

-- Which payments of a purchase Stripe reported as paid; asked at its end (I3).
drop index concurrently if exists stripe_events_succeeded;
create index concurrently stripe_events_succeeded on stripe_events (purchase_id) where type = 'payment_intent.succeeded';

-- Puts money before a person that Stripe reports for a purchase and that the
-- purchase did not get: it ended without, or another payment paid it (I3). Whoever
-- calls this holds the purchase's row, so of an event and an end that come
-- together one waits for the other, and sees it.
-- +goose StatementBegin
create or replace function purchase_review_captures(p_purchase uuid, p_at timestamptz) returns void language sql as $$
    insert into alerts (kind, subject, account_id, detail, raised_at)
    select 'capture_in_review', 'purchase/' || p.id, p.account_id,
           format('Stripe reports %s as paid, but the purchase is %s without it. Refund it or grant the credits.', e.object_id, p.status), p_at
      from purchases p
      join stripe_events e on e.purchase_id = p.id and e.type = 'payment_intent.succeeded'
     where p.id = p_purchase
       and (p.status in ('declined', 'canceled', 'expired') or p.bank = 'approved' and e.object_id <> p.payment_intent_id)
     order by e.received_at, e.id
     limit 1
    on conflict (kind, subject) where resolved_at is null do nothing;
$$;

create or replace function purchases_review_captures() returns trigger language plpgsql as $$
begin
    perform purchase_review_captures(new.id, coalesce(new.bank_ended_at, clock_timestamp()));
    return null;
end
$$;

create or replace function stripe_events_review_captures() returns trigger language plpgsql as $$
begin
    -- An end that is being written at this moment is waited for.
    perform from purchases where id = new.purchase_id for share;
    perform purchase_review_captures(new.purchase_id, new.received_at);
    return null;
end
$$;
-- +goose StatementEnd

create or replace trigger purchases_review_captures after update of bank on purchases
    for each row when (new.bank <> old.bank and new.bank in ('approved', 'declined', 'canceled', 'expired'))
    execute function purchases_review_captures();
create or replace trigger stripe_events_review_captures after insert on stripe_events
    for each row when (new.type = 'payment_intent.succeeded' and new.purchase_id is not null)
    execute function stripe_events_review_captures();

-- +goose Down
drop trigger stripe_events_review_captures on stripe_events;
drop trigger purchases_review_captures on purchases;
drop function stripe_events_review_captures(), purchases_review_captures(), purchase_review_captures(uuid, timestamptz);
drop index stripe_events_succeeded;
