-- +goose Up

-- The card that a purchase charges, by Stripe's name for its number: declines are
-- counted by it, and pauses of auto-recharge belong to it (R27).
alter table purchases add column card_fingerprint text;
-- decline_code is set once, at the end, so that this index costs other updates nothing.
create index purchases_declines_of_card on purchases (card_fingerprint, bank_ended_at desc) where decline_code is not null;
create index purchases_recharges on purchases (created_at, account_id) where origin = 'auto_recharge';

-- Never two recharges of an account in flight (R26): a second one waits until the
-- first is credited or has ended without money. A gateway that is down, which keeps
-- a credited purchase pending, holds up none.
create unique index purchases_one_recharge on purchases (account_id)
    where origin = 'auto_recharge' and status = 'pending' and balance_ended_at is null;

-- What a customer asked of auto-recharge, and where its loop is: one row for an
-- account that ever asked. An idle account is this row and nothing else.
create table auto_recharges (
    account_id          uuid primary key references accounts,
    enabled             boolean     not null,
    amount_cents        bigint      not null check (amount_cents >= 500),
    threshold_cents     bigint      not null check (threshold_cents between 0 and 10000000),
    monthly_cap_cents   bigint,
    -- How many purchases of the plan that was shown the customer has confirmed, and when.
    confirmed_purchases integer     not null default 0 check (confirmed_purchases >= 0),
    confirmed_at        timestamptz,
    -- How many purchases were made: the next one's key is made from it.
    made                bigint      not null default 0,
    -- The purchase whose end has not been looked at yet.
    purchase_id         uuid references purchases,
    -- Why nothing is bought whatever the card, and until when.
    halt                text check (halt in ('monthly_cap', 'hourly_limit', 'network_limit')),
    halt_until          timestamptz,
    -- The turn that was given among all automatic charges, by the database's clock.
    slot_at             timestamptz,
    -- When the loop is to look at the latest; null is not before somebody wakes it.
    due_at              timestamptz,
    changed_at          timestamptz not null,
    constraint auto_recharges_cap_allows_one check (monthly_cap_cents >= amount_cents),
    constraint auto_recharges_halt_has_end check ((halt is null) = (halt_until is null))
) with (fillfactor = 70);
create index auto_recharges_due on auto_recharges (due_at, account_id) where due_at is not null;

-- Why a card is not charged by itself. The pause belongs to the card: it is there
-- again when the card comes back after another (R27). A card without trouble has no row.
create table recharge_cards (
    account_id   uuid        not null references accounts,
    fingerprint  text        not null,
    halt         text        not null check (halt in ('card_refused', 'tries_used_up', 'card_data', 'authentication_required', 'retry')),
    decline_code text        not null,
    -- Soft declines in a row.
    tries        integer     not null check (tries >= 0),
    until_at     timestamptz,
    at           timestamptz not null,
    primary key (account_id, fingerprint),
    constraint recharge_cards_retry_has_end check ((halt = 'retry') = (until_at is not null))
);

-- Every stop, pause and cap, as it happened; each is told by mail (R26).
create table recharge_events (
    id           bigint generated always as identity primary key,
    account_id   uuid        not null references accounts,
    halt         text        not null,
    decline_code text        not null,
    until_at     timestamptz,
    purchase_id  uuid references purchases,
    at           timestamptz not null
);
create index recharge_events_account on recharge_events (account_id, id);
create trigger recharge_events_append_only before update or delete on recharge_events
    for each row execute function refuse_change();
create trigger recharge_events_never_emptied before truncate on recharge_events
    for each statement execute function refuse_change();

-- The one row over all automatic charges: the emergency stop, and whose turn is next.
create table recharge_control (
    one_row      boolean primary key default true check (one_row),
    held         boolean     not null default false,
    next_slot_at timestamptz not null default '-infinity'
);
insert into recharge_control default values;

-- Has an account's loop look, in the transaction that gave the reason (R28): the
-- outbox row wakes it, and the due time has the sweep find it should that be lost.
-- +goose StatementBegin
create function recharge_wake(p_account uuid, p_kind text default 'recharge') returns void language plpgsql as $$
begin
    update auto_recharges set due_at = '-infinity' where account_id = p_account;
    if found then
        perform outbox_put(p_kind, p_account::text);
    end if;
end
$$;

-- Below which balance the account recharges; null where it doesn't. It stands beside
-- the balance, so that a posting that doesn't cross it pays for a comparison alone.
-- A trigger on the settings keeps it, as triggers keep the balances themselves.
alter table balances add column recharge_below_micros bigint;
create function auto_recharges_set_threshold() returns trigger language plpgsql as $$
begin
    update balances set recharge_below_micros = case when new.enabled then new.threshold_cents * 10000 end
     where account_id = new.account_id;
    return null;
end
$$;
create trigger auto_recharges_set_threshold after insert or update of enabled, threshold_cents on auto_recharges
    for each row execute function auto_recharges_set_threshold();

create function balances_wake_recharge() returns trigger language plpgsql as $$
begin
    perform recharge_wake(new.account_id);
    return null;
end
$$;
create trigger balances_cross_recharge after update of free_micros, purchased_micros, accrued_micros on balances
    for each row when (new.free_micros + new.purchased_micros - new.accrued_micros < new.recharge_below_micros
                       and old.free_micros + old.purchased_micros - old.accrued_micros >= old.recharge_below_micros)
    execute function balances_wake_recharge();

-- A purchase that was credited, or ended without money, changes what is to be
-- bought. One that the customer made shows as well that the card is good again.
create function purchases_wake_recharge() returns trigger language plpgsql as $$
begin
    if new.origin = 'auto_recharge' then
        perform recharge_wake(new.account_id, 'recharge_ended');
    elsif new.bank = 'approved' then
        delete from recharge_cards
         where account_id = new.account_id and fingerprint = new.card_fingerprint and halt = 'retry';
        if found then
            perform recharge_wake(new.account_id);
        end if;
    end if;
    return null;
end
$$;
create trigger purchases_wake_recharge after update on purchases
    for each row when (old.status = 'pending' and (old.balance_ended_at is null and new.balance_ended_at is not null
                                                   or new.status in ('declined', 'canceled', 'expired')))
    execute function purchases_wake_recharge();

-- A card that is put is looked at at once. Putting the same one again is how its
-- data is mended.
create function cards_wake_recharge() returns trigger language plpgsql as $$
begin
    delete from recharge_cards
     where account_id = new.account_id and fingerprint = new.fingerprint and halt = 'card_data';
    perform recharge_wake(new.account_id);
    return null;
end
$$;
create trigger cards_wake_recharge after insert or update on cards
    for each row execute function cards_wake_recharge();
-- +goose StatementEnd

-- Until when the gateways may answer that credits are on their way (R55).
alter table entitlements add column recharging_until timestamptz;

-- Says that a recharge is in flight until then, or with null that none is. Only
-- gateways that block the account need to hear of it: for the others it goes along
-- with the next version.
-- +goose StatementBegin
create function recharge_announce(p_account uuid, p_until timestamptz, p_at timestamptz) returns void language plpgsql as $$
declare
    pushed boolean;
begin
    update entitlements
       set recharging_until = p_until,
           version    = version + (blocked_since is not null and tier > 0)::integer,
           changed_at = case when blocked_since is not null and tier > 0 then p_at else changed_at end
     where account_id = p_account and recharging_until is distinct from p_until
    returning blocked_since is not null and tier > 0 into pushed;
    if pushed then
        perform outbox_put('propagate', p_account::text);
    end if;
end
$$;

-- Notes and tells why no more is bought.
create function recharge_tell(p_account uuid, p_halt text, p_decline text, p_until timestamptz, p_purchase uuid, p_at timestamptz)
returns void language plpgsql as $$
declare
    event bigint;
begin
    insert into recharge_events (account_id, halt, decline_code, until_at, purchase_id, at)
    values (p_account, p_halt, p_decline, p_until, p_purchase, p_at) returning id into event;
    perform outbox_put('mail_recharge_halted', event::text);
end
$$;

-- Stores what the customer asks for, and has the loop look if that asks for credits. Switching on again is
-- the customer's word that a card whose tries were used up may be tried again, or
-- that the bank has been answered.
create function recharge_configure(
    p_account uuid, p_enabled boolean, p_amount bigint, p_threshold bigint, p_cap bigint, p_confirmed integer, p_at timestamptz
) returns void language plpgsql as $$
declare
    was_enabled boolean;
begin
    -- The balance first, as a posting that crosses the threshold holds it.
    perform from balances where account_id = p_account for update;
    select enabled into was_enabled from auto_recharges where account_id = p_account for update;
    insert into auto_recharges as r (account_id, enabled, amount_cents, threshold_cents, monthly_cap_cents, confirmed_purchases, confirmed_at, changed_at)
    values (p_account, p_enabled, p_amount, p_threshold, p_cap, p_confirmed, p_at, p_at)
    on conflict (account_id) do update
       set enabled = p_enabled, amount_cents = p_amount, threshold_cents = p_threshold, monthly_cap_cents = p_cap,
           confirmed_purchases = p_confirmed, confirmed_at = p_at, changed_at = p_at;
    if p_enabled then
        delete from recharge_cards h using cards c
         where h.account_id = p_account and c.account_id = p_account and c.fingerprint = h.fingerprint
           and (h.halt = 'tries_used_up' or h.halt = 'authentication_required' and not was_enabled);
    end if;
    if exists (select from balances where account_id = p_account and free_micros + purchased_micros - accrued_micros < recharge_below_micros) then
        perform recharge_wake(p_account);
    end if;
end
$$;

-- Makes the next recharge of an account, to be started at once, if it is the
-- account's turn among all automatic charges, one each p_pace. If not, it
-- reserves a turn and answers how many microseconds to wait for it. A turn is good
-- for some seconds, so that those that nobody took don't come all at once.
create function recharge_buy(
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
-- +goose StatementEnd

-- +goose Down
drop function recharge_buy(uuid, uuid, interval, interval, timestamptz),
    recharge_configure(uuid, boolean, bigint, bigint, bigint, integer, timestamptz),
    recharge_tell(uuid, text, text, timestamptz, uuid, timestamptz),
    recharge_announce(uuid, timestamptz, timestamptz);
alter table entitlements drop column recharging_until;
drop trigger cards_wake_recharge on cards;
drop trigger purchases_wake_recharge on purchases;
drop trigger balances_cross_recharge on balances;
alter table balances drop column recharge_below_micros;
drop table recharge_control, recharge_events, recharge_cards, auto_recharges;
drop function cards_wake_recharge(), purchases_wake_recharge(), balances_wake_recharge(), auto_recharges_set_threshold(), recharge_wake(uuid, text);
drop index purchases_one_recharge, purchases_recharges, purchases_declines_of_card;
alter table purchases drop column card_fingerprint;
