-- +goose Up

-- How an unpaid invoice is collected (R33): one row for each invoice that something
-- was due on, kept when it is paid, since it numbers the tries.
create table invoice_collections (
    invoice_id   uuid primary key references invoices,
    account_id   uuid        not null references accounts,
    amount_cents bigint      not null check (amount_cents > 0),
    -- How many tries were made: the next one's number, and with it its key at Stripe.
    attempts     integer     not null default 0 check (attempts >= 0),
    -- When the first try failed: the days of the schedule count from here.
    chased_from  timestamptz,
    -- When the schedule comes to it; null is not before somebody does something.
    due_at       timestamptz,
    -- When the sweep is to wake it, should nobody have.
    wake_at      timestamptz,
    -- A card was put, and nobody has looked yet whether it is to be tried.
    card_changed boolean     not null default false,
    -- Money came that does not fit (I3): nothing is charged before a person has looked.
    in_review    boolean     not null default false,
    -- The payment of a declined try, open at Stripe until it is canceled there.
    open_payment text,
    -- The turn that was given among all charges of invoices, by the database's clock.
    slot_at      timestamptz,
    revision     bigint      not null default 1
) with (fillfactor = 70);
create index invoice_collections_wake on invoice_collections (wake_at, invoice_id) where wake_at is not null;
create index invoice_collections_account on invoice_collections (account_id, invoice_id);
create index invoice_collections_in_review on invoice_collections (invoice_id) where in_review;

-- The tries to have an invoice paid by card. What the bank says of one is as with a
-- purchase.
create table invoice_payments (
    invoice_id         uuid        not null references invoice_collections,
    attempt            integer     not null check (attempt >= 1),
    account_id         uuid        not null references accounts,
    origin             text        not null check (origin in ('automatic', 'card_change', 'manual')),
    amount_cents       bigint      not null check (amount_cents > 0),
    stripe_customer_id text        not null,
    payment_method_id  text        not null,
    card_fingerprint   text        not null,
    mandate_id         text,
    bank               text        not null default 'waiting'
                       check (bank in ('waiting', 'charging', 'processing', 'requires_action', 'unknown',
                                       'approved', 'declined', 'canceled', 'expired')),
    payment_intent_id  text unique,
    captured_cents     bigint      not null default 0 check (captured_cents >= 0),
    decline_code       text,
    decline_known      boolean,
    authorization_url  text,
    created_at         timestamptz not null,
    bank_started_at    timestamptz,
    bank_ended_at      timestamptz,
    primary key (invoice_id, attempt),
    constraint invoice_payments_whole_capture
        check (bank <> 'approved' or (captured_cents = amount_cents and payment_intent_id is not null)),
    constraint invoice_payments_capture_is_approved check (captured_cents = 0 or bank = 'approved'),
    constraint invoice_payments_end_has_time check ((bank_ended_at is not null) = (bank in ('approved', 'declined', 'canceled', 'expired'))),
    constraint invoice_payments_decline_has_code check ((bank = 'declined') = (decline_code is not null)),
    constraint invoice_payments_link_only_while_asked check (authorization_url is null or bank = 'requires_action')
);
-- I2: one try at a time, and one that succeeds.
create unique index invoice_payments_one_in_flight on invoice_payments (invoice_id)
    where bank in ('waiting', 'charging', 'processing', 'requires_action', 'unknown');
create unique index invoice_payments_paid_once on invoice_payments (invoice_id) where bank = 'approved';
create index invoice_payments_in_flight_age on invoice_payments (created_at)
    where bank in ('waiting', 'charging', 'processing', 'requires_action', 'unknown');
create index invoice_payments_declines_of_card on invoice_payments (card_fingerprint, bank_ended_at desc) where decline_code is not null;
create index invoice_payments_unknown_declines on invoice_payments (invoice_id) where not decline_known;

-- +goose StatementBegin
create function invoice_payments_only_move_on() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        raise exception 'a payment of an invoice is never deleted' using errcode = 'restrict_violation';
    end if;
    if old.bank in ('approved', 'declined', 'canceled', 'expired') then
        raise exception 'payment % of invoice % has ended as %', old.attempt, old.invoice_id, old.bank
            using errcode = 'restrict_violation', constraint = 'invoice_payments_end_once';
    end if;
    if (new.invoice_id, new.attempt, new.account_id, new.origin, new.amount_cents, new.stripe_customer_id, new.payment_method_id,
        new.card_fingerprint, new.mandate_id, new.created_at)
       is distinct from
       (old.invoice_id, old.attempt, old.account_id, old.origin, old.amount_cents, old.stripe_customer_id, old.payment_method_id,
        old.card_fingerprint, old.mandate_id, old.created_at)
       or (old.payment_intent_id is not null and new.payment_intent_id is distinct from old.payment_intent_id)
       or (old.bank_started_at is not null and new.bank_started_at is distinct from old.bank_started_at) then
        raise exception 'payment % of invoice %: what is settled cannot change', old.attempt, old.invoice_id
            using errcode = 'restrict_violation', constraint = 'invoice_payments_settled_stays';
    end if;
    return new;
end
$$;
-- +goose StatementEnd
create trigger invoice_payments_only_move_on before update or delete on invoice_payments
    for each row execute function invoice_payments_only_move_on();
create trigger invoice_payments_never_emptied before truncate on invoice_payments
    for each statement execute function refuse_change();

-- Under which key of a caller which try was made, or was under way (R19).
create table invoice_payment_keys (
    account_id      uuid    not null references accounts,
    idempotency_key text    not null check (length(idempotency_key) between 1 and 255),
    invoice_id      uuid    not null,
    attempt         integer not null,
    primary key (account_id, idempotency_key),
    foreign key (invoice_id, attempt) references invoice_payments
);

-- What happened to an invoice on the way to its money, as it was told (R33).
create table invoice_events (
    id           bigint generated always as identity primary key,
    invoice_id   uuid        not null references invoices,
    account_id   uuid        not null references accounts,
    kind         text        not null check (kind in ('payment_failed', 'past_due', 'paid', 'restored', 'void', 'uncollectible')),
    attempt      integer,
    decline_code text,
    next_at      timestamptz,
    at           timestamptz not null
);
create index invoice_events_invoice on invoice_events (invoice_id, id);
create trigger invoice_events_append_only before update or delete on invoice_events
    for each row execute function refuse_change();
create trigger invoice_events_never_emptied before truncate on invoice_events
    for each statement execute function refuse_change();

-- An invoice that is issued with something due on it is to be collected at once. The
-- sweep brings those of a whole closing on their way, at their pace.
-- +goose StatementBegin
create function invoices_collect() returns trigger language plpgsql as $$
begin
    insert into invoice_collections (invoice_id, account_id, amount_cents, due_at, wake_at)
    select id, account_id, due_cents, issued_at, issued_at from written where status = 'open';
    return null;
end
$$;
-- +goose StatementEnd
create trigger invoices_collect after insert on invoices
    referencing new table as written
    for each statement execute function invoices_collect();

-- A card that is put may be what an invoice waits for (R33).
-- +goose StatementBegin
create function cards_wake_invoices() returns trigger language plpgsql as $$
declare
    invoice uuid;
begin
    for invoice in
        update invoice_collections c set card_changed = true, wake_at = '-infinity', revision = c.revision + 1
          from invoices i
         where c.account_id = new.account_id and i.id = c.invoice_id and i.status in ('open', 'past_due')
        returning c.invoice_id
    loop
        perform outbox_put('invoice_payment_now', invoice::text);
    end loop;
    -- A payment with the card before that waits for its customer is given up, unless
    -- the bank approved a moment ago (F29).
    perform authorization_close(a.id, 'replaced')
       from authorizations a join invoice_payments p on p.invoice_id = a.subject_id and p.attempt = a.attempt
      where a.account_id = new.account_id and a.purpose = 'invoice' and a.ended_at is null and p.card_fingerprint <> new.fingerprint;
    return null;
end
$$;
-- +goose StatementEnd
create trigger cards_wake_invoices after insert or update of payment_method_id on cards
    for each row execute function cards_wake_invoices();

-- How often a card was declined after that time, whoever asked, and the first time of
-- these; counted as far as p_most (R27).
-- +goose StatementBegin
create function card_declines(p_fingerprint text, p_after timestamptz, p_most integer, out declines bigint, out oldest timestamptz)
language sql stable as $$
    select count(*), min(at) from (
        select at from (
            (select bank_ended_at as at from purchases
              where card_fingerprint = p_fingerprint and decline_code is not null and bank_ended_at > p_after
              order by bank_ended_at desc limit p_most)
            union all
            (select bank_ended_at from invoice_payments
              where card_fingerprint = p_fingerprint and decline_code is not null and bank_ended_at > p_after
              order by bank_ended_at desc limit p_most)) every
         order by at desc limit p_most) latest;
$$;
-- +goose StatementEnd

-- Whose turn is next among all charges of a kind that no customer waits for.
create table charge_turns (
    kind    text primary key,
    next_at timestamptz not null default '-infinity'
);
insert into charge_turns (kind, next_at) select 'recharges', next_slot_at from recharge_control;
insert into charge_turns (kind) values ('invoices');
alter table recharge_control drop column next_slot_at;

-- Takes a turn, one each p_pace over all workers, and answers when it is, null for
-- now. p_held is the turn that was given before. A turn is good for some seconds, so
-- that those that nobody took don't come all at once.
-- +goose StatementBegin
create function charge_turn(p_kind text, p_held timestamptz, p_pace interval) returns timestamptz language plpgsql as $$
declare
    slot timestamptz;
begin
    if p_pace <= '0' or coalesce(p_held between clock_timestamp() - interval '30 seconds' and clock_timestamp(), false) then
        return null;
    end if;
    update charge_turns set next_at = greatest(next_at, clock_timestamp()) + p_pace where kind = p_kind returning next_at - p_pace into slot;
    return case when slot > clock_timestamp() then slot end;
end
$$;

-- As before, with the turns of all that is charged in one table.
create or replace function recharge_buy(
    p_account uuid, p_purchase uuid, p_pace interval, p_in_flight interval, p_at timestamptz
) returns bigint language plpgsql as $$
declare
    r    auto_recharges;
    slot timestamptz;
    wait interval;
begin
    select * into strict r from auto_recharges where account_id = p_account for update;
    slot := charge_turn('recharges', r.slot_at, p_pace);
    if slot is not null then
        wait := greatest(slot - clock_timestamp(), interval '1 millisecond');
        update auto_recharges set slot_at = slot, due_at = p_at + wait where account_id = p_account;
        return ceil(extract(epoch from wait) * 1000000);
    end if;
    -- The key holds a sign that no caller can send, so that it is nobody else's.
    insert into purchases (id, account_id, idempotency_key, origin, amount_cents, stripe_customer_id, payment_method_id, card_fingerprint, created_at)
    select p_purchase, a.id, 'recharge§' || r.made + 1, 'auto_recharge', r.amount_cents, a.stripe_customer_id, c.payment_method_id, c.fingerprint, p_at
      from accounts a join cards c on c.account_id = a.id
     where a.id = p_account;
    perform outbox_put('start_recharge', p_purchase::text);
    update auto_recharges set made = made + 1, purchase_id = p_purchase, slot_at = null, halt = null, halt_until = null
     where account_id = p_account;
    perform recharge_announce(p_account, p_at + p_in_flight, p_at);
    return 0;
end
$$;
-- +goose StatementEnd

-- What the bank said of a try. A repeat changes nothing, and nothing replaces a final
-- answer. Says whether the row changed.
-- +goose StatementBegin
create function invoice_payment_record_bank(
    p_invoice uuid, p_attempt integer, p_bank text, p_intent text, p_captured bigint, p_decline text, p_decline_known boolean, p_url text,
    p_at timestamptz
) returns boolean language plpgsql as $$
declare
    final boolean := p_bank in ('approved', 'declined', 'canceled', 'expired');
begin
    update invoice_payments
       set bank              = p_bank,
           payment_intent_id = coalesce(p_intent, payment_intent_id),
           captured_cents    = p_captured,
           decline_code      = p_decline,
           decline_known     = p_decline_known,
           authorization_url = p_url,
           bank_ended_at     = case when final then p_at end
     where invoice_id = p_invoice and attempt = p_attempt and bank not in ('approved', 'declined', 'canceled', 'expired')
       and (bank, payment_intent_id, authorization_url) is distinct from (p_bank, coalesce(p_intent, payment_intent_id), p_url);
    if not found then
        return false;
    end if;
    update invoice_collections
       set revision     = revision + 1,
           open_payment = case when p_bank = 'declined' then p_intent else open_payment end
     where invoice_id = p_invoice;
    if final then
        update alerts set resolved_at = p_at
         where kind = 'bank_unknown' and subject = 'invoice/' || p_invoice and resolved_at is null;
    end if;
    return true;
end
$$;

-- Notes and tells what became of an invoice.
create function invoice_tell(p_invoice uuid, p_account uuid, p_kind text, p_attempt integer, p_decline text, p_next timestamptz, p_at timestamptz)
returns void language plpgsql as $$
declare
    event bigint;
begin
    insert into invoice_events (invoice_id, account_id, kind, attempt, decline_code, next_at, at)
    values (p_invoice, p_account, p_kind, p_attempt, p_decline, p_next, p_at) returning id into event;
    if p_kind in ('payment_failed', 'past_due', 'paid', 'restored') then
        perform outbox_put('mail_invoice_event', event::text);
    end if;
end
$$;
-- +goose StatementEnd

-- Whom an unpaid invoice suspends (R33): who has one past due, or one that was written
-- off, unless support lets the account go on. An account's standing says it, so that
-- whatever settles an entitlement suspends and restores, and the gateways hear of it.
alter table invoice_collections add column restored boolean not null default false;
create index invoices_suspending on invoices (account_id) where status in ('past_due', 'uncollectible');
-- +goose StatementBegin
drop function account_standings(uuid[], bigint[], bigint[]);
create function account_standings(p_accounts uuid[], p_tiers bigint[], p_limits bigint[])
returns table (account_id uuid, tier integer, credits_micros bigint, exposure_micros bigint, limit_micros bigint, suspended boolean, admitted boolean)
language sql stable as $$
    select s.account_id, s.tier, s.credits, s.exposure, s.allowed, s.suspended,
           s.tier > 0 and not s.suspended and (s.credits > 0 or s.exposure < s.allowed)
      from (select e.account_id, r.tier, b.free_micros + b.purchased_micros as credits,
                   b.accrued_micros + b.invoiced_micros as exposure,
                   exists (select from invoices i left join invoice_collections c on c.invoice_id = i.id
                            where i.account_id = e.account_id and i.status in ('past_due', 'uncollectible') and not coalesce(c.restored, false)) as suspended,
                   case when r.tier = 0 then 0
                        else least(case when r.tier = 5 then coalesce(t.support_limit_micros, p_limits[r.tier + 1]) else p_limits[r.tier + 1] end,
                                   t.customer_limit_micros) end as allowed
              from entitlements e
              join balances b on b.account_id = e.account_id
              left join lateral (select * from account_terms a where a.account_id = e.account_id order by a.id desc limit 1) t on true
             cross join lateral (select case when t.plan in ('scale', 'enterprise') then 5
                                             else (select count(*)::integer from unnest(p_tiers) as p (threshold)
                                                    where b.lifetime_spend_micros >= p.threshold) end as tier) r
             where e.account_id = any(p_accounts)) s;
$$;

create or replace function entitlements_settle(p_accounts uuid[], p_tiers bigint[], p_limits bigint[], p_at timestamptz)
returns table (account_id uuid, version bigint, changed boolean) language plpgsql as $$
begin
    perform from balances b where b.account_id = any(p_accounts) order by b.account_id for update;
    return query
    with moved as (
        update entitlements e
           set version       = e.version + 1,
               tier          = s.tier,
               suspended     = s.suspended,
               blocked_since = case when not s.admitted then coalesce(e.blocked_since, p_at) end,
               changed_at    = p_at
          from account_standings(p_accounts, p_tiers, p_limits) s
         where e.account_id = s.account_id
           and (e.tier <> s.tier or e.suspended <> s.suspended or (e.blocked_since is null) <> s.admitted)
        returning e.account_id, e.version),
    told as materialized (select m.account_id, m.version, outbox_put('propagate', m.account_id::text) from moved m)
    select e.account_id, coalesce(t.version, e.version), t.version is not null
      from entitlements e left join told t on t.account_id = e.account_id
     where e.account_id = any(p_accounts);
end
$$;
-- +goose StatementEnd

-- The try was approved: what was captured pays the invoice, once, in the transaction
-- that records it (I2, I3). It counts to lifetime spend (R13), shows that the card is
-- good, and restores the account if nothing else is past due. The caller holds the
-- balances.
-- +goose StatementBegin
create function invoice_paid(p_invoice uuid, p_attempt integer, p_tiers bigint[], p_limits bigint[], p_at timestamptz) returns void
language plpgsql as $$
declare
    p         invoice_payments;
    suspended boolean;
begin
    select * into strict p from invoice_payments where invoice_id = p_invoice and attempt = p_attempt;
    -- Before the entitlement, in the order in which auto-recharge takes the two.
    delete from recharge_cards where account_id = p.account_id and fingerprint = p.card_fingerprint and halt = 'retry';
    if found then
        perform recharge_wake(p.account_id);
    end if;
    select e.suspended into suspended from entitlements e where e.account_id = p.account_id;
    perform invoice_settle(p_invoice, 'paid', null, p_tiers, p_limits, p_at);
    update invoice_collections
       set due_at = null, wake_at = null, slot_at = null, card_changed = false, in_review = false, revision = revision + 1
     where invoice_id = p_invoice;
    perform invoice_tell(p_invoice, p.account_id, 'paid', p_attempt, null, null, p_at);
    if suspended and not (select e.suspended from entitlements e where e.account_id = p.account_id) then
        perform invoice_tell(p_invoice, p.account_id, 'restored', p_attempt, null, null, p_at);
    end if;
    -- A capture in review is settled by a person alone.
    update alerts set resolved_at = p_at
     where subject = 'invoice/' || p_invoice and kind <> 'capture_in_review' and resolved_at is null;
end
$$;

-- The last try of the schedule failed, or the bank's question was never answered (R38):
-- the account is suspended until the invoice is paid. The caller holds the balances.
create function invoice_past_due(
    p_invoice uuid, p_account uuid, p_attempt integer, p_decline text, p_tiers bigint[], p_limits bigint[], p_at timestamptz
) returns void language plpgsql as $$
begin
    if invoice_settle(p_invoice, 'past_due', null, p_tiers, p_limits, p_at) then
        perform invoice_tell(p_invoice, p_account, 'past_due', p_attempt, p_decline, null, p_at);
    end if;
end
$$;

-- Support writes an unpaid invoice off, void or uncollectible, with the reason. What is
-- in flight, or in review, was looked for by the caller, who holds the balances. Says
-- whether anything changed.
create function invoice_write_off(
    p_invoice uuid, p_account uuid, p_status text, p_reason text, p_restore boolean, p_tiers bigint[], p_limits bigint[], p_at timestamptz
) returns boolean language plpgsql as $$
declare
    changed   boolean;
    suspended boolean;
begin
    select e.suspended into suspended from entitlements e where e.account_id = p_account;
    update invoice_collections
       set due_at = null, wake_at = null, slot_at = null, card_changed = false, in_review = false, restored = true, revision = revision + 1
     where invoice_id = p_invoice and p_restore and not restored;
    changed := found;
    if invoice_settle(p_invoice, p_status, p_reason, p_tiers, p_limits, p_at) then
        update invoice_collections
           set due_at = null, wake_at = null, slot_at = null, card_changed = false, in_review = false, revision = revision + 1
         where invoice_id = p_invoice;
        perform invoice_tell(p_invoice, p_account, p_status, null, null, null, p_at);
        changed := true;
    elsif changed then
        perform entitlements_settle(array[p_account], p_tiers, p_limits, p_at);
    end if;
    if suspended and not (select e.suspended from entitlements e where e.account_id = p_account) then
        perform invoice_tell(p_invoice, p_account, 'restored', null, null, null, p_at);
    end if;
    return changed;
end
$$;

-- +goose StatementEnd

-- Puts money before a person that Stripe reports for an invoice and that no try got
-- (I3), once for each payment, and has nothing charged until that is settled. While a
-- try is in flight it may be its own: the end of that looks again. Whoever calls this
-- holds the collection, so of an event and an end that come together one waits for the
-- other, and sees it.
-- +goose StatementBegin
create function invoice_review_captures(p_invoice uuid, p_at timestamptz) returns void language plpgsql as $$
begin
    insert into alerts (kind, subject, account_id, detail, raised_at)
    select 'capture_in_review', 'invoice/' || i.id, i.account_id,
           format('Stripe reports %s as paid, but no payment of the invoice, which is %s, was approved by it. Refund it, and resolve this alert to have an unpaid invoice charged again.',
                  e.object_id, i.status), p_at
      from stripe_events e join invoices i on i.id = e.invoice_id
     where e.invoice_id = p_invoice and e.type = 'payment_intent.succeeded'
       and not exists (select from invoice_payments p where p.invoice_id = p_invoice
                          and (p.bank not in ('approved', 'declined', 'canceled', 'expired') or p.bank = 'approved' and p.payment_intent_id = e.object_id))
       and not exists (select from alerts a where a.kind = 'capture_in_review' and a.subject = 'invoice/' || i.id and position(e.object_id in a.detail) > 0)
     order by e.received_at, e.id
     limit 1
    on conflict (kind, subject) where resolved_at is null do nothing;
    if found then
        update invoice_collections c set in_review = true, revision = c.revision + 1
          from invoices i where c.invoice_id = p_invoice and i.id = p_invoice and i.status in ('open', 'past_due');
    end if;
end
$$;

create function invoice_payments_review_captures() returns trigger language plpgsql as $$
begin
    perform invoice_review_captures(new.invoice_id, new.bank_ended_at);
    return null;
end
$$;

create function stripe_events_review_invoice() returns trigger language plpgsql as $$
begin
    perform from invoice_collections where invoice_id = new.invoice_id for update;
    perform invoice_review_captures(new.invoice_id, new.received_at);
    return null;
end
$$;
-- +goose StatementEnd
create index stripe_events_invoice_succeeded on stripe_events (invoice_id) where type = 'payment_intent.succeeded' and invoice_id is not null;
create trigger invoice_payments_review_captures after update of bank on invoice_payments
    for each row when (new.bank <> old.bank and new.bank_ended_at is not null) execute function invoice_payments_review_captures();
create trigger stripe_events_review_invoice after insert on stripe_events
    for each row when (new.type = 'payment_intent.succeeded' and new.invoice_id is not null) execute function stripe_events_review_invoice();

-- +goose StatementBegin
-- Money for an invoice goes with the try that captured it, and the other way round:
-- whoever posts, and whoever records an approval (I2, I3).
create function invoice_payment_is_captured() returns trigger language plpgsql as $$
begin
    if not exists (
        select from invoice_payments p
         where p.invoice_id = substring(new.idempotency_key from '/([0-9a-f-]{36})$')::uuid and p.account_id = new.account_id and p.bank = 'approved'
           and (select -sum(e.amount_micros) from ledger_entries e where e.transaction_id = new.id and e.book = 'payments')
               = p.captured_cents * 10000) then
        raise exception 'ledger transaction %: payment of an invoice without a captured try of that amount', new.id
            using errcode = 'check_violation', constraint = 'ledger_invoice_payment_is_captured';
    end if;
    return null;
end
$$;
create function invoice_capture_is_posted() returns trigger language plpgsql as $$
begin
    if not exists (select from ledger_transactions where idempotency_key = 'invoice_payment/' || new.invoice_id and kind = 'invoice_payment') then
        raise exception 'payment % of invoice %: captured and not posted', new.attempt, new.invoice_id
            using errcode = 'check_violation', constraint = 'invoice_payments_capture_is_posted';
    end if;
    return null;
end
$$;
-- +goose StatementEnd
create constraint trigger money_of_invoice_is_captured after insert on ledger_transactions
    deferrable initially deferred
    for each row when (new.kind = 'invoice_payment') execute function invoice_payment_is_captured();
create constraint trigger invoice_capture_is_posted after insert or update on invoice_payments
    deferrable initially deferred
    for each row when (new.bank = 'approved') execute function invoice_capture_is_posted();

-- +goose Down
drop trigger stripe_events_review_invoice on stripe_events;
drop index stripe_events_invoice_succeeded;
drop trigger cards_wake_invoices on cards;
drop trigger invoices_collect on invoices;
drop trigger money_of_invoice_is_captured on ledger_transactions;
alter table recharge_control add column next_slot_at timestamptz not null default '-infinity';
update recharge_control set next_slot_at = (select next_at from charge_turns where kind = 'recharges');
-- +goose StatementBegin
create or replace function recharge_buy(
    p_account uuid, p_purchase uuid, p_pace interval, p_in_flight interval, p_at timestamptz
) returns bigint language plpgsql as $$
declare
    r    auto_recharges;
    slot timestamptz;
    wait interval;
begin
    select * into strict r from auto_recharges where account_id = p_account for update;
    if p_pace > '0' and not coalesce(r.slot_at between clock_timestamp() - interval '30 seconds' and clock_timestamp(), false) then
        update recharge_control set next_slot_at = greatest(next_slot_at, clock_timestamp()) + p_pace
        returning next_slot_at - p_pace into slot;
        wait := slot - clock_timestamp();
        if wait > '0' then
            update auto_recharges set slot_at = slot, due_at = p_at + wait where account_id = p_account;
            return ceil(extract(epoch from wait) * 1000000);
        end if;
    end if;
    -- The key holds a sign that no caller can send, so that it is nobody else's.
    insert into purchases (id, account_id, idempotency_key, origin, amount_cents, stripe_customer_id, payment_method_id, card_fingerprint, created_at)
    select p_purchase, a.id, 'recharge§' || r.made + 1, 'auto_recharge', r.amount_cents, a.stripe_customer_id, c.payment_method_id, c.fingerprint, p_at
      from accounts a join cards c on c.account_id = a.id
     where a.id = p_account;
    perform outbox_put('start_recharge', p_purchase::text);
    update auto_recharges set made = made + 1, purchase_id = p_purchase, slot_at = null, halt = null, halt_until = null
     where account_id = p_account;
    perform recharge_announce(p_account, p_at + p_in_flight, p_at);
    return 0;
end
$$;

create or replace function entitlements_settle(p_accounts uuid[], p_tiers bigint[], p_limits bigint[], p_at timestamptz)
returns table (account_id uuid, version bigint, changed boolean) language plpgsql as $$
begin
    perform from balances b where b.account_id = any(p_accounts) order by b.account_id for update;
    return query
    with moved as (
        update entitlements e
           set version       = e.version + 1,
               tier          = s.tier,
               blocked_since = case when not s.admitted then coalesce(e.blocked_since, p_at) end,
               changed_at    = p_at
          from account_standings(p_accounts, p_tiers, p_limits) s
         where e.account_id = s.account_id and (e.tier <> s.tier or (e.blocked_since is null) <> s.admitted)
        returning e.account_id, e.version),
    told as materialized (select m.account_id, m.version, outbox_put('propagate', m.account_id::text) from moved m)
    select e.account_id, coalesce(t.version, e.version), t.version is not null
      from entitlements e left join told t on t.account_id = e.account_id
     where e.account_id = any(p_accounts);
end
$$;

drop function account_standings(uuid[], bigint[], bigint[]);
create function account_standings(p_accounts uuid[], p_tiers bigint[], p_limits bigint[])
returns table (account_id uuid, tier integer, credits_micros bigint, exposure_micros bigint, limit_micros bigint, admitted boolean)
language sql stable as $$
    select s.account_id, s.tier, s.credits, s.exposure, s.allowed,
           s.tier > 0 and not s.suspended and (s.credits > 0 or s.exposure < s.allowed)
      from (select e.account_id, e.suspended, r.tier, b.free_micros + b.purchased_micros as credits,
                   b.accrued_micros + b.invoiced_micros as exposure,
                   case when r.tier = 0 then 0
                        else least(case when r.tier = 5 then coalesce(t.support_limit_micros, p_limits[r.tier + 1]) else p_limits[r.tier + 1] end,
                                   t.customer_limit_micros) end as allowed
              from entitlements e
              join balances b on b.account_id = e.account_id
              left join lateral (select * from account_terms a where a.account_id = e.account_id order by a.id desc limit 1) t on true
             cross join lateral (select case when t.plan in ('scale', 'enterprise') then 5
                                             else (select count(*)::integer from unnest(p_tiers) as p (threshold)
                                                    where b.lifetime_spend_micros >= p.threshold) end as tier) r
             where e.account_id = any(p_accounts)) s;
$$;
-- +goose StatementEnd
drop index invoices_suspending;
drop table invoice_events, invoice_payment_keys, invoice_payments, invoice_collections, charge_turns;
drop function invoices_collect(), cards_wake_invoices(), stripe_events_review_invoice(), invoice_payments_review_captures(),
    invoice_review_captures(uuid, timestamptz), card_declines(text, timestamptz, integer), charge_turn(text, timestamptz, interval),
    invoice_payments_only_move_on(), invoice_payment_is_captured(), invoice_capture_is_posted(),
    invoice_payment_record_bank(uuid, integer, text, text, bigint, text, boolean, text, timestamptz),
    invoice_tell(uuid, uuid, text, integer, text, timestamptz, timestamptz),
    invoice_paid(uuid, integer, bigint[], bigint[], timestamptz),
    invoice_past_due(uuid, uuid, integer, text, bigint[], bigint[], timestamptz),
    invoice_write_off(uuid, uuid, text, text, boolean, bigint[], bigint[], timestamptz);
