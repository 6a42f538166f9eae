-- +goose Up

-- A payment whose bank wants its customer (R36 to R38): one row for each PaymentIntent
-- that was asked about, whoever asked. It ends once.
create table authorizations (
    id                uuid primary key,
    account_id        uuid        not null references accounts,
    purpose           text        not null check (purpose in ('purchase', 'invoice')),
    -- The purchase or the invoice, and which attempt to pay it.
    subject_id        uuid        not null,
    attempt           integer     not null check (attempt >= 1),
    payment_intent_id text        not null unique,
    payment_method_id text        not null,
    amount_cents      bigint      not null check (amount_cents > 0),
    -- On-session the customer is at the bank already, so the link is not mailed at once.
    on_session        boolean     not null,
    state             text        not null default 'created'
                      check (state in ('created', 'sent', 'opened', 'approved', 'refused', 'expired', 'replaced', 'canceled')),
    -- Somebody wants it to end so; what the bank says to the cancellation decides.
    closing           text        check (closing in ('replaced', 'canceled')),
    -- Which link is the valid one: a new one ends those before it.
    generation        bigint      not null default 1 check (generation >= 1),
    -- How many mails were asked for of this generation, and from when they count.
    mails             integer     not null default 0 check (mails >= 0),
    link_at           timestamptz not null,
    -- The number of the newest confirmation asked of Stripe: each has a key of its own.
    confirms          integer     not null default 0 check (confirms >= 0),
    captured_cents    bigint      not null default 0 check (captured_cents >= 0),
    decline_code      text,
    revision          bigint      not null default 1,
    created_at        timestamptz not null,
    sent_at           timestamptz,
    opened_at         timestamptz,
    expires_at        timestamptz not null,
    ended_at          timestamptz,
    -- When its workflow is to look at the latest; the sweep finds one that did not.
    due_at            timestamptz not null,
    unique (purpose, subject_id, attempt),
    constraint authorizations_end_is_whole
        check ((state in ('approved', 'refused', 'expired', 'replaced', 'canceled')) = (ended_at is not null)),
    constraint authorizations_approved_is_captured check ((state = 'approved') = (captured_cents > 0)),
    constraint authorizations_refusal_has_code check ((state = 'refused') = (decline_code is not null))
);
create index authorizations_account on authorizations (account_id, created_at desc, id);
create index authorizations_due on authorizations (due_at, id) where ended_at is null;

-- Of an approval and an expiry that come together the first one stands, whoever
-- writes (R38).
-- +goose StatementBegin
create function authorizations_only_move_on() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        raise exception 'an authorization is never deleted' using errcode = 'restrict_violation';
    end if;
    if old.ended_at is not null then
        raise exception 'authorization % has ended as %', old.id, old.state
            using errcode = 'restrict_violation', constraint = 'authorizations_end_once';
    end if;
    if (new.id, new.account_id, new.purpose, new.subject_id, new.attempt, new.payment_intent_id, new.payment_method_id, new.amount_cents, new.on_session, new.created_at)
       is distinct from
       (old.id, old.account_id, old.purpose, old.subject_id, old.attempt, old.payment_intent_id, old.payment_method_id, old.amount_cents, old.on_session, old.created_at)
       or new.generation < old.generation or new.confirms < old.confirms
       or (old.closing is not null and new.closing is distinct from old.closing) then
        raise exception 'authorization %: what is settled cannot change', old.id
            using errcode = 'restrict_violation', constraint = 'authorizations_settled_stays';
    end if;
    new.revision := old.revision + 1;
    return new;
end
$$;
-- +goose StatementEnd
create trigger authorizations_only_move_on before update or delete on authorizations
    for each row execute function authorizations_only_move_on();
create trigger authorizations_never_emptied before truncate on authorizations
    for each statement execute function refuse_change();

-- Opens the authorization of a payment, once for each attempt, with its workflow on the
-- way. A recharge that waits for its customer is no recharge in flight: the loop notes
-- that and tells it (R27).
-- +goose StatementBegin
create function authorization_open(
    p_id uuid, p_account uuid, p_purpose text, p_subject uuid, p_attempt integer, p_intent text, p_method text,
    p_amount bigint, p_on_session boolean, p_link_at timestamptz, p_expires_at timestamptz, p_at timestamptz
) returns void language plpgsql as $$
begin
    insert into authorizations (id, account_id, purpose, subject_id, attempt, payment_intent_id, payment_method_id, amount_cents, on_session,
                                link_at, expires_at, created_at, due_at)
    values (p_id, p_account, p_purpose, p_subject, p_attempt, p_intent, p_method, p_amount, p_on_session, p_link_at, p_expires_at, p_at, p_at)
    on conflict (purpose, subject_id, attempt) do nothing;
    if not found then
        return;
    end if;
    perform outbox_put('authorization_changed', p_id::text);
    if p_purpose = 'purchase' and exists (select from purchases where id = p_subject and origin = 'auto_recharge') then
        insert into recharge_events (account_id, halt, decline_code, until_at, purchase_id, at)
        values (p_account, 'approval_pending', 'authentication_required', p_expires_at, p_subject, p_at);
        perform recharge_wake(p_account);
    end if;
end
$$;

-- Ends an authorization and wakes whoever waits for its payment, in one step. Says
-- whether this was the end: another one may have come before.
create function authorization_end(p_id uuid, p_state text, p_captured bigint, p_decline text, p_at timestamptz)
returns boolean language plpgsql as $$
declare
    a authorizations;
begin
    update authorizations
       set state = p_state, captured_cents = p_captured, decline_code = p_decline, ended_at = p_at
     where id = p_id and ended_at is null
    returning * into a;
    if not found then
        return false;
    end if;
    delete from outbox where kind in ('mail_authorization', 'mail_authorization_reminder') and subject = p_id::text;
    perform outbox_put(case a.purpose when 'purchase' then 'payment_changed' else 'invoice_payment_changed' end, a.subject_id::text);
    return true;
end
$$;

-- Has an authorization end as p_as, unless the bank approved a moment before.
create function authorization_close(p_id uuid, p_as text) returns boolean language plpgsql as $$
begin
    update authorizations set closing = p_as where id = p_id and ended_at is null and closing is null;
    if not found then
        return false;
    end if;
    perform outbox_put('authorization_changed', p_id::text);
    return true;
end
$$;

-- Another card takes the place of a recharge that waits for the approval of the one
-- before: auto-recharge goes on with it at once (R27).
create function cards_replace_authorization() returns trigger language plpgsql as $$
begin
    perform authorization_close(a.id, 'replaced')
       from authorizations a join purchases p on p.id = a.subject_id
      where a.account_id = new.account_id and a.purpose = 'purchase' and a.ended_at is null
        and p.origin = 'auto_recharge' and p.card_fingerprint is distinct from new.fingerprint;
    return null;
end
$$;
-- +goose StatementEnd
create trigger cards_replace_authorization after insert or update on cards
    for each row execute function cards_replace_authorization();

-- An event of Stripe may be about an invoice's payment.
alter table stripe_events add column invoice_id uuid;

-- Stores an event and has whoever waits for its payment look again, in one step (F11,
-- F12): the authorization while the customer is asked, else the purchase or the invoice's
-- payment. It takes the place of the function of the same name that knew no invoices; that
-- one stays for front doors of the version before.
-- +goose StatementBegin
create function stripe_event_record(
    p_id text, p_type text, p_object text, p_purchase uuid, p_invoice uuid, p_created timestamptz, p_at timestamptz
) returns boolean language plpgsql as $$
declare
    p     purchases;
    asked uuid;
begin
    select * into p from purchases where id = p_purchase;
    insert into stripe_events (id, type, object_id, purchase_id, invoice_id, created_at, received_at)
    values (p_id, p_type, p_object, p.id, p_invoice, p_created, p_at)
    on conflict (id) do nothing;
    if not found then
        return false;
    end if;
    if p_type not like 'payment\_intent.%' then
        return true;
    end if;
    select id into asked from authorizations where payment_intent_id = p_object and ended_at is null;
    if found then
        perform outbox_put('authorization_changed', asked::text);
    elsif p_invoice is not null then
        perform outbox_put('invoice_payment_changed', p_invoice::text);
    elsif p.bank in ('processing', 'requires_action', 'unknown') then
        perform outbox_put('payment_changed', p.id::text);
    elsif p.bank in ('waiting', 'charging') then
        perform outbox_put('payment_changed', p.id::text, interval '2 seconds');
    end if;
    return true;
end
$$;
-- +goose StatementEnd

-- +goose Down
drop function stripe_event_record(text, text, text, uuid, uuid, timestamptz, timestamptz);
alter table stripe_events drop column invoice_id;
drop trigger cards_replace_authorization on cards;
drop function cards_replace_authorization(), authorization_close(uuid, text),
    authorization_end(uuid, text, bigint, text, timestamptz),
    authorization_open(uuid, uuid, text, uuid, integer, text, text, bigint, boolean, timestamptz, timestamptz, timestamptz);
drop table authorizations;
drop function authorizations_only_move_on();
