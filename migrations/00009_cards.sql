-- +goose Up

-- What support sets of an account (R42). A tax number set by support stands in the
-- place of the one beside the card, and stays when the card is replaced. Support
-- may also say which territory's rules the account's charges follow (R36).
alter table accounts
    add column organization_name text check (length(organization_name) between 1 and 200),
    add column invoice_email     text check (invoice_email ~ '^[^@\s]+@[^@\s]+$' and length(invoice_email) <= 320),
    add column business_details  text check (length(business_details) between 1 and 2000),
    add column tax_id_type       text check (length(tax_id_type) between 1 and 30),
    add column tax_id_value      text check (length(tax_id_value) between 1 and 50),
    add column rules_territory   text check (rules_territory ~ '^[A-Z]{2}$'),
    add constraint accounts_tax_id_whole check ((tax_id_type is null) = (tax_id_value is null));

-- The verification of a card that is to become the account's (R40): one SetupIntent
-- at Stripe, by which the bank says whether the card may be saved.
create table card_setups (
    id                uuid primary key,
    account_id        uuid        not null references accounts,
    -- The payment method as Stripe has it once it is attached to the customer.
    customer_id       text        not null,
    payment_method_id text        not null,
    -- With a mandate where the law of its territory wants one (R36).
    mandate_wanted    boolean     not null,
    line1             text        not null,
    city              text        not null,
    address_state     text        not null,
    postal_code       text        not null,
    country           text        not null,
    tax_id_type       text,
    tax_id_value      text,
    -- open: the SetupIntent is being made, or nobody knows whether it was;
    -- waiting: the bank asks the customer, or takes its time. The others are ends.
    state             text        not null default 'open'
                      check (state in ('open', 'waiting', 'verified', 'refused', 'replaced', 'expired', 'canceled')),
    setup_intent_id   text unique,
    authorization_url text,
    mandate_id        text,
    decline_code      text,
    created_at        timestamptz not null,
    expires_at        timestamptz not null,
    ended_at          timestamptz,
    constraint card_setups_ended_whole check ((state in ('open', 'waiting')) = (ended_at is null)),
    constraint card_setups_refusal_has_code check ((state = 'refused') = (decline_code is not null)),
    constraint card_setups_link_only_while_asked check (authorization_url is null or state = 'waiting'),
    constraint card_setups_asked_by_stripe check (state not in ('waiting', 'verified') or setup_intent_id is not null),
    constraint card_setups_mandate_is_verified check (mandate_id is null or state = 'verified'),
    constraint card_setups_tax_id_whole check ((tax_id_type is null) = (tax_id_value is null))
);
-- Only the newest can win: a second one is made when the first has been replaced.
create unique index card_setups_one_at_a_time on card_setups (account_id) where state in ('open', 'waiting');
create index card_setups_newest on card_setups (account_id, created_at desc, id desc);
-- The mandate that a charge of a payment method is made under.
create index card_setups_mandates on card_setups (payment_method_id) where mandate_id is not null;

-- +goose StatementBegin
create function card_setups_only_move_on() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        raise exception 'a card setup is never deleted' using errcode = 'restrict_violation';
    end if;
    if (new.id, new.account_id, new.customer_id, new.payment_method_id, new.mandate_wanted, new.created_at, new.expires_at)
       is distinct from (old.id, old.account_id, old.customer_id, old.payment_method_id, old.mandate_wanted, old.created_at, old.expires_at)
       or (old.setup_intent_id is not null and new.setup_intent_id is distinct from old.setup_intent_id)
       or (old.ended_at is not null and (new.state, new.ended_at, new.mandate_id, new.decline_code)
           is distinct from (old.state, old.ended_at, old.mandate_id, old.decline_code)) then
        raise exception 'card setup %: what is settled cannot change', old.id
            using errcode = 'restrict_violation', constraint = 'card_setups_settled_stays';
    end if;
    return new;
end
$$;
-- +goose StatementEnd
create trigger card_setups_only_move_on before update or delete on card_setups
    for each row execute function card_setups_only_move_on();

-- What Stripe reports of a SetupIntent has its setup look again; what it says is not
-- believed. One that has ended needs no telling.
-- +goose StatementBegin
create function stripe_events_tell_card_setup() returns trigger language plpgsql as $$
begin
    perform outbox_put('card_setup', s.id::text)
       from card_setups s where s.setup_intent_id = new.object_id and s.ended_at is null;
    return null;
end
$$;
-- +goose StatementEnd
create trigger stripe_events_tell_card_setup after insert on stripe_events
    for each row when (new.type like 'setup\_intent.%')
    execute function stripe_events_tell_card_setup();

-- A card that was verified names its setup; those from before there were setups
-- were attached alone. issued_in is the country of its bank, if that is known.
alter table cards
    add column setup_id   uuid references card_setups,
    add column mandate_id text,
    add column issued_in  text;

-- Each card that an account ever had, with the address that it had: it does not come
-- back with another (R41), whatever was the account's card meanwhile.
create table card_addresses (
    account_id  uuid not null references accounts,
    fingerprint text not null,
    line1       text not null,
    city        text not null,
    state       text not null,
    postal_code text not null,
    country     text not null,
    primary key (account_id, fingerprint)
);
insert into card_addresses
select account_id, fingerprint, line1, city, state, postal_code, country from cards;

-- +goose StatementBegin
create function cards_keep_address() returns trigger language plpgsql as $$
begin
    insert into card_addresses values (new.account_id, new.fingerprint, new.line1, new.city, new.state, new.postal_code, new.country)
    on conflict do nothing;
    return null;
end
$$;
create function cards_never_removed() returns trigger language plpgsql as $$
begin
    raise exception 'a card is replaced, never removed' using errcode = 'restrict_violation', constraint = 'cards_never_removed';
end
$$;
-- +goose StatementEnd
create trigger cards_keep_address after insert or update on cards
    for each row execute function cards_keep_address();
create trigger cards_never_removed before delete on cards
    for each row execute function cards_never_removed();

-- +goose Down
drop trigger cards_never_removed on cards;
drop trigger cards_keep_address on cards;
drop function cards_never_removed(), cards_keep_address();
drop table card_addresses;
alter table cards drop column setup_id, drop column mandate_id, drop column issued_in;
drop trigger stripe_events_tell_card_setup on stripe_events;
drop function stripe_events_tell_card_setup();
drop table card_setups;
drop function card_setups_only_move_on();
alter table accounts drop column organization_name, drop column invoice_email, drop column business_details,
    drop column tax_id_type, drop column tax_id_value, drop column rules_territory;
