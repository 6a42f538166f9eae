-- +goose Up

-- One row per thing that went wrong in a way that a person must look at (I6).
create table alerts (
    id          bigint generated always as identity primary key,
    kind        text        not null,
    subject     text        not null,
    account_id  uuid references accounts,
    detail      text        not null,
    raised_at   timestamptz not null,
    resolved_at timestamptz
);
-- The same trouble is told once while it lasts.
create unique index alerts_open on alerts (kind, subject) where resolved_at is null;

-- What must still be told to a workflow, a mail server or a customer. A row is
-- written by the transaction whose effect it announces and leaves when it has
-- been delivered. Messages say "look again", so several about one subject are
-- one row; revision tells the deliverer that another came in meanwhile. Due
-- times are the database's own, so that hosts whose clocks differ agree (F24).
create table outbox (
    id         bigint generated always as identity primary key,
    kind       text        not null,
    subject    text        not null,
    revision   bigint      not null default 1,
    due_at     timestamptz not null,
    attempts   integer     not null default 0,
    last_error text,
    created_at timestamptz not null default clock_timestamp(),
    unique (kind, subject)
);
create index outbox_due on outbox (due_at);

-- +goose StatementBegin
create function outbox_put(p_kind text, p_subject text, p_delay interval default '0') returns void language sql as $$
    insert into outbox as o (kind, subject, due_at) values (p_kind, p_subject, clock_timestamp() + p_delay)
    on conflict (kind, subject) do update
       set revision = o.revision + 1, due_at = least(o.due_at, excluded.due_at);
$$;
-- +goose StatementEnd

create table invoices (
    id           uuid primary key,
    number       text        not null unique,
    account_id   uuid        not null references accounts,
    kind         text        not null check (kind in ('purchase')),
    purchase_id  uuid unique,
    description  text        not null,
    total_micros bigint      not null check (total_micros >= 0),
    status       text        not null check (status in ('open', 'paid', 'past_due', 'void', 'uncollectible')),
    issued_at    timestamptz not null,
    constraint invoices_purchase_is_paid check (kind <> 'purchase' or (purchase_id is not null and status = 'paid'))
);
create index invoices_account on invoices (account_id, issued_at desc, id);
create trigger invoices_final before update or delete on invoices
    for each row execute function refuse_change();
create trigger invoices_never_emptied before truncate on invoices
    for each statement execute function refuse_change();

-- The last number given in each year. Its row is locked until the invoice
-- commits, which is what makes the numbers gapless (R45).
create table invoice_numbers (
    year integer primary key,
    last bigint not null
);

-- A credit purchase (R17). The stages follow from the times: a stage began
-- where the one before it ended.
create table purchases (
    id                  uuid primary key,
    account_id          uuid        not null references accounts,
    idempotency_key     text        not null check (length(idempotency_key) between 1 and 255),
    origin              text        not null check (origin in ('checkout', 'auto_recharge')),
    amount_cents        bigint      not null check (amount_cents >= 500),
    stripe_customer_id  text        not null,
    payment_method_id   text        not null,
    status              text        not null default 'pending'
                        check (status in ('pending', 'completed', 'declined', 'canceled', 'expired')),
    -- What the bank is known to have said; unknown is an answer of its own (R20).
    bank                text        not null default 'waiting'
                        check (bank in ('waiting', 'charging', 'processing', 'requires_action', 'unknown',
                                        'approved', 'declined', 'canceled', 'expired')),
    payment_intent_id   text unique,
    captured_cents      bigint      not null default 0 check (captured_cents >= 0),
    decline_code        text,
    decline_known       boolean,
    authorization_url   text,
    invoice_id          uuid unique references invoices,
    entitlement_version bigint,
    revision            bigint      not null default 1,
    created_at          timestamptz not null,
    bank_started_at     timestamptz,
    bank_ended_at       timestamptz,
    invoice_ended_at    timestamptz,
    balance_ended_at    timestamptz,
    tier_ended_at       timestamptz,
    unique (account_id, idempotency_key),
    constraint purchases_approved_is_captured
        check (bank <> 'approved' or (captured_cents = amount_cents and payment_intent_id is not null and bank_ended_at is not null)),
    constraint purchases_capture_is_approved check (captured_cents = 0 or bank = 'approved'),
    constraint purchases_invoice_after_bank check (invoice_ended_at is null or bank = 'approved'),
    constraint purchases_invoice_whole check ((invoice_ended_at is null) = (invoice_id is null)),
    -- I7: no credit without its invoice.
    constraint purchases_balance_after_invoice check (balance_ended_at is null or invoice_ended_at is not null),
    constraint purchases_balance_whole check ((balance_ended_at is null) = (entitlement_version is null)),
    constraint purchases_tier_after_balance check (tier_ended_at is null or balance_ended_at is not null),
    constraint purchases_completed_is_whole check ((status = 'completed') = (tier_ended_at is not null)),
    constraint purchases_ended_by_bank
        check ((status in ('declined', 'canceled', 'expired')) = (bank in ('declined', 'canceled', 'expired'))),
    constraint purchases_decline_has_code check ((bank = 'declined') = (decline_code is not null)),
    constraint purchases_link_only_while_asked check (authorization_url is null or bank = 'requires_action')
);
create index purchases_account on purchases (account_id, created_at desc, id);
create index purchases_pending on purchases (account_id, created_at, id) where status = 'pending';
create index purchases_pending_age on purchases (created_at) where status = 'pending';
-- Whom an acknowledgement may set free (R22).
create index purchases_awaiting_tier on purchases (account_id) where tier_ended_at is null and balance_ended_at is not null;
create index purchases_unknown_declines on purchases (id) where not decline_known;

alter table invoices add foreign key (purchase_id) references purchases;

-- What is settled stays settled, whoever writes: one PaymentIntent, one capture,
-- one invoice, one credit, one end (I2, I3, I5).
-- +goose StatementBegin
create function purchases_only_move_on() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        raise exception 'a purchase is never deleted' using errcode = 'restrict_violation';
    end if;
    if old.status <> 'pending' then
        raise exception 'purchase % has ended as %', old.id, old.status
            using errcode = 'restrict_violation', constraint = 'purchases_end_once';
    end if;
    if (new.id, new.account_id, new.idempotency_key, new.origin, new.amount_cents, new.stripe_customer_id, new.payment_method_id, new.created_at)
       is distinct from
       (old.id, old.account_id, old.idempotency_key, old.origin, old.amount_cents, old.stripe_customer_id, old.payment_method_id, old.created_at)
       or (old.payment_intent_id is not null and new.payment_intent_id is distinct from old.payment_intent_id)
       or (old.bank in ('approved', 'declined', 'canceled', 'expired') and new.bank <> old.bank)
       or (old.bank_ended_at is not null and new.bank_ended_at is distinct from old.bank_ended_at)
       or (old.invoice_id is not null and new.invoice_id is distinct from old.invoice_id)
       or (old.entitlement_version is not null and new.entitlement_version is distinct from old.entitlement_version)
       or (old.balance_ended_at is not null and new.balance_ended_at is distinct from old.balance_ended_at) then
        raise exception 'purchase %: what is settled cannot change', old.id
            using errcode = 'restrict_violation', constraint = 'purchases_settled_stays';
    end if;
    new.revision := old.revision + 1;
    return new;
end
$$;
-- +goose StatementEnd
create trigger purchases_only_move_on before update or delete on purchases
    for each row execute function purchases_only_move_on();

-- Credit of a purchase goes with the purchase's own row: I5 and I7 hold for
-- whoever posts under a purchase's key.
-- +goose StatementBegin
create function purchase_credit_is_covered() returns trigger language plpgsql as $$
declare
    purchase uuid := substring(new.idempotency_key from '^purchase/([0-9a-f-]{36})$');
begin
    if not exists (
        select from purchases p
         where p.id = purchase and p.account_id = new.account_id
           and p.invoice_id is not null and p.balance_ended_at is not null
           and (select count(*) = 2 and bool_and(
                       (e.account_id, e.book, e.amount_micros)
                       in ((p.account_id, 'payments', p.captured_cents * -10000), (p.account_id, 'purchased', p.captured_cents * 10000)))
                  from ledger_entries e where e.transaction_id = new.id)) then
        raise exception 'ledger transaction %: credit without a captured and invoiced purchase of that amount', new.id
            using errcode = 'check_violation', constraint = 'ledger_purchase_is_covered';
    end if;
    return null;
end
$$;
-- +goose StatementEnd
create constraint trigger purchase_credit_is_covered after insert on ledger_transactions
    deferrable initially deferred
    for each row when (new.kind = 'purchase') execute function purchase_credit_is_covered();

-- What the gateways are to hold for an account (R22). Version 0 is the Limited
-- tier, which a gateway takes every account for that it has never heard of.
create table entitlements (
    account_id uuid primary key references accounts,
    version    bigint      not null default 0 check (version >= 0),
    tier       smallint    not null default 0 check (tier between 0 and 5),
    suspended  boolean     not null default false,
    changed_at timestamptz not null
);

create table gateway_acks (
    account_id      uuid   not null references accounts,
    gateway         text   not null,
    version         bigint not null check (version >= 0),
    acknowledged_at timestamptz,
    last_error      text,
    failed_at       timestamptz,
    primary key (account_id, gateway)
);

-- +goose StatementBegin
create function versions_only_grow() returns trigger language plpgsql as $$
begin
    if new.version < old.version then
        raise exception '%: version % after %', tg_table_name, new.version, old.version
            using errcode = 'restrict_violation', constraint = 'versions_only_grow';
    end if;
    return new;
end
$$;
create function open_entitlement() returns trigger language plpgsql as $$
begin
    insert into entitlements (account_id, changed_at) values (new.id, new.created_at);
    return null;
end
$$;
-- +goose StatementEnd
create trigger entitlements_only_grow before update on entitlements
    for each row execute function versions_only_grow();
create trigger entitlements_never_deleted before delete on entitlements
    for each row execute function refuse_change();
create trigger entitlements_never_emptied before truncate on entitlements
    for each statement execute function refuse_change();
create trigger gateway_acks_only_grow before update on gateway_acks
    for each row execute function versions_only_grow();
create trigger accounts_open_entitlement after insert on accounts
    for each row execute function open_entitlement();

-- What Stripe told us, by its event id: a repeat is no news (F11). Bodies are
-- not kept: the object is always fetched again.
create table stripe_events (
    id          text primary key,
    type        text        not null,
    object_id   text        not null,
    purchase_id uuid references purchases,
    created_at  timestamptz not null,
    received_at timestamptz not null
);

-- Stores an event and has its purchase look again, in one step (F11, F12). A
-- purchase that is only waiting for the answer to its own request is given time
-- to read it there first; one that has its answer needs no telling, but money
-- that arrives for a purchase that ended without it is for a person to see (I3).
-- Says whether the event is new.
-- +goose StatementBegin
create function stripe_event_record(
    p_id text, p_type text, p_object text, p_purchase uuid, p_created timestamptz, p_at timestamptz
) returns boolean language plpgsql as $$
declare
    p purchases;
begin
    select * into p from purchases where id = p_purchase;
    insert into stripe_events (id, type, object_id, purchase_id, created_at, received_at)
    values (p_id, p_type, p_object, p.id, p_created, p_at)
    on conflict (id) do nothing;
    if not found then
        return false;
    end if;
    if p.id is null or p_type not like 'payment\_intent.%' then
        return true;
    end if;
    if p_type = 'payment_intent.succeeded'
       and (p.status in ('declined', 'canceled', 'expired') or p.bank = 'approved' and p_object is distinct from p.payment_intent_id) then
        insert into alerts (kind, subject, account_id, detail, raised_at)
        values ('capture_in_review', 'purchase/' || p.id, p.account_id,
                format('Stripe reports %s as paid, but the purchase is %s without it. Refund it or grant the credits.', p_object, p.status), p_at)
        on conflict (kind, subject) where resolved_at is null do nothing;
    elsif p.bank in ('processing', 'requires_action', 'unknown') then
        perform outbox_put('payment_changed', p.id::text);
    elsif p.bank in ('waiting', 'charging') then
        perform outbox_put('payment_changed', p.id::text, interval '2 seconds');
    end if;
    return true;
end
$$;
-- +goose StatementEnd

-- What the bank said of a purchase. A repeat changes nothing, and nothing
-- replaces a final answer. Says whether the row changed.
-- +goose StatementBegin
create function purchase_record_bank(
    p_purchase uuid, p_bank text, p_intent text, p_captured bigint, p_decline text, p_decline_known boolean, p_url text, p_at timestamptz
) returns boolean language plpgsql as $$
declare
    final boolean := p_bank in ('approved', 'declined', 'canceled', 'expired');
begin
    update purchases
       set bank              = p_bank,
           payment_intent_id = coalesce(p_intent, payment_intent_id),
           captured_cents    = p_captured,
           decline_code      = p_decline,
           decline_known     = p_decline_known,
           authorization_url = p_url,
           bank_ended_at     = case when final then p_at end,
           status            = case when final and p_bank <> 'approved' then p_bank else status end
     where id = p_purchase and bank not in ('approved', 'declined', 'canceled', 'expired')
       and (bank, payment_intent_id, authorization_url) is distinct from (p_bank, coalesce(p_intent, payment_intent_id), p_url);
    if not found then
        return false;
    end if;
    if p_bank = 'approved' then
        perform outbox_put('mail_purchase_approved', p_purchase::text);
    end if;
    if final then
        update alerts set resolved_at = p_at
         where kind = 'bank_unknown' and subject = 'purchase/' || p_purchase and resolved_at is null;
    end if;
    return true;
end
$$;
-- +goose StatementEnd

-- The invoice stage: one paid invoice for an approved purchase, once.
-- +goose StatementBegin
create function purchase_issue_invoice(p_purchase uuid, p_invoice uuid, p_at timestamptz) returns uuid language plpgsql as $$
declare
    p purchases;
    n bigint;
    y integer := extract(year from p_at at time zone 'UTC');
begin
    select * into strict p from purchases where id = p_purchase for update;
    if p.invoice_id is not null then
        return p.invoice_id;
    end if;
    insert into invoice_numbers as i (year, last) values (y, 1)
    on conflict (year) do update set last = i.last + 1
    returning last into n;
    insert into invoices (id, number, account_id, kind, purchase_id, description, total_micros, status, issued_at)
    values (p_invoice, format('%s-%s', y, lpad(n::text, greatest(6, length(n::text)), '0')), p.account_id, 'purchase', p.id,
            'Credit purchase', p.captured_cents * 10000, 'paid', p_at);
    update purchases set invoice_id = p_invoice, invoice_ended_at = p_at where id = p.id;
    return p_invoice;
end
$$;
-- +goose StatementEnd

-- Brings an account's entitlement to the tier that its lifetime spend has
-- earned; p_tiers are the thresholds of tiers 1, 2, ... in micro-dollars.
-- +goose StatementBegin
create function entitlement_settle(p_account uuid, p_tiers bigint[], p_at timestamptz, out version bigint, out changed boolean)
language plpgsql as $$
declare
    held   integer;
    earned integer;
begin
    -- Locked first: a concurrent payment's spend is then seen, not overtaken.
    select e.version, e.tier into version, held from entitlements e where e.account_id = p_account for update;
    select count(*) into earned
      from balances b, unnest(p_tiers) as t (threshold)
     where b.account_id = p_account and b.lifetime_spend_micros >= t.threshold;
    changed := earned <> held;
    if changed then
        version := version + 1;
        update entitlements e set version = entitlement_settle.version, tier = earned, changed_at = p_at
         where e.account_id = p_account;
        perform outbox_put('propagate', p_account::text);
    end if;
end
$$;
-- +goose StatementEnd

-- The balance stage: the captured money becomes purchased credits, once, and
-- the account's entitlement follows. A purchase that changed no entitlement
-- waits for no gateway: its version is 0 (R22).
-- +goose StatementBegin
create function purchase_credit(p_purchase uuid, p_tiers bigint[], p_at timestamptz, out entitlement_version bigint, out tier_changed boolean)
language plpgsql as $$
declare
    p      purchases;
    micros bigint;
begin
    select * into strict p from purchases where id = p_purchase for update;
    if p.balance_ended_at is not null then
        entitlement_version := p.entitlement_version;
        tier_changed := p.entitlement_version > 0;
        return;
    end if;
    micros := p.captured_cents * 10000;
    perform ledger_post('purchase/' || p.id, 'purchase', p.account_id, p_at,
                        array['payments', 'purchased']::ledger_book[], array[-micros, micros]);
    select s.version, s.changed into entitlement_version, tier_changed from entitlement_settle(p.account_id, p_tiers, p_at) s;
    if not tier_changed then
        entitlement_version := 0;
    end if;
    update purchases u set balance_ended_at = p_at, entitlement_version = purchase_credit.entitlement_version where u.id = p.id;
end
$$;
-- +goose StatementEnd

-- The tier stage: ends the purchase when every gateway of p_gateways holds the
-- version that the purchase brought about. Says whether the purchase has ended.
-- +goose StatementBegin
create function purchase_settle_tier(p_purchase uuid, p_gateways text[], p_at timestamptz) returns boolean language plpgsql as $$
declare
    p purchases;
begin
    select * into strict p from purchases where id = p_purchase for update;
    if p.tier_ended_at is not null then
        return true;
    end if;
    if p.entitlement_version > 0 and exists (
        select from unnest(p_gateways) as g (gateway)
          left join gateway_acks a on a.account_id = p.account_id and a.gateway = g.gateway
         where coalesce(a.version, 0) < p.entitlement_version) then
        return false;
    end if;
    update purchases set tier_ended_at = p_at, status = 'completed' where id = p.id;
    -- A capture in review is settled by a person alone.
    update alerts set resolved_at = p_at
     where subject = 'purchase/' || p.id and kind <> 'capture_in_review' and resolved_at is null;
    return true;
end
$$;
-- +goose StatementEnd

-- A gateway says which version it holds. Purchases that now have what they
-- wait for at every gateway are told. A gateway that is ahead of us (we were
-- restored from a backup, say) ignores what we push, so its answer acknowledges
-- nothing: our version is moved past its own and pushed again (I10).
-- +goose StatementBegin
create function gateway_acknowledge(p_account uuid, p_gateway text, p_held bigint, p_gateways text[], p_at timestamptz)
returns void language plpgsql as $$
declare
    everywhere bigint;
begin
    -- Locked first: of two gateways that acknowledge at once the second sees the
    -- first one's row.
    perform from entitlements where account_id = p_account for update;
    update entitlements set version = p_held + 1, changed_at = p_at where account_id = p_account and version < p_held;
    if found then
        perform outbox_put('propagate', p_account::text);
        return;
    end if;
    insert into gateway_acks as a (account_id, gateway, version, acknowledged_at) values (p_account, p_gateway, p_held, p_at)
    on conflict (account_id, gateway) do update
       set version = greatest(a.version, excluded.version), acknowledged_at = excluded.acknowledged_at, last_error = null, failed_at = null;
    select min(coalesce(a.version, 0)) into everywhere
      from unnest(p_gateways) as g (gateway)
      left join gateway_acks a on a.account_id = p_account and a.gateway = g.gateway;
    perform outbox_put('tier_propagated', id::text)
       from purchases
      where account_id = p_account and tier_ended_at is null and balance_ended_at is not null
        and entitlement_version <= everywhere;
end
$$;
-- +goose StatementEnd

-- +goose Down
drop function gateway_acknowledge(uuid, text, bigint, text[], timestamptz),
    purchase_record_bank(uuid, text, text, bigint, text, boolean, text, timestamptz),
    stripe_event_record(text, text, text, uuid, timestamptz, timestamptz);
drop function purchase_settle_tier(uuid, text[], timestamptz), purchase_credit(uuid, bigint[], timestamptz),
    entitlement_settle(uuid, bigint[], timestamptz), purchase_issue_invoice(uuid, uuid, timestamptz);
drop table stripe_events, gateway_acks;
drop trigger accounts_open_entitlement on accounts;
drop table entitlements;
drop function open_entitlement(), versions_only_grow();
drop trigger purchase_credit_is_covered on ledger_transactions;
drop function purchase_credit_is_covered();
alter table invoices drop constraint invoices_purchase_id_fkey;
drop table purchases, invoices, invoice_numbers, outbox, alerts;
drop function purchases_only_move_on(), outbox_put(text, text, interval);
