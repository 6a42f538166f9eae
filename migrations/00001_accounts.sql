-- +goose Up

-- Whoever buys credits. Personal data stands here and in cards.
create table accounts (
    id                 uuid primary key,
    email              text        not null check (email ~ '^[^@\s]+@[^@\s]+$' and length(email) <= 320),
    name               text        not null check (length(name) between 1 and 200),
    territory          text        not null check (territory ~ '^[A-Z]{2}$'),
    stripe_customer_id text unique,
    created_at         timestamptz not null
);

-- Support looks an account up by the address its customer gives (R23).
create index accounts_email on accounts (lower(email));

-- The one card of an account (R40). Numbers never reach this system (R43).
create table cards (
    account_id        uuid primary key references accounts,
    payment_method_id text        not null,
    brand             text        not null,
    funding           text        not null,
    last4             text        not null,
    exp_month         integer     not null,
    exp_year          integer     not null,
    fingerprint       text        not null,
    line1             text        not null,
    city              text        not null,
    state             text        not null,
    postal_code       text        not null,
    country           text        not null,
    tax_id_type       text,
    tax_id_value      text,
    updated_at        timestamptz not null,
    constraint cards_only_accepted check (brand in ('visa', 'mastercard', 'amex') and funding <> 'prepaid'),
    constraint cards_tax_id_whole check ((tax_id_type is null) = (tax_id_value is null))
);

-- Keys of callers, by role (R52). The secret itself is never stored.
create table role_keys (
    id          text primary key,
    role        text        not null check (role in ('checkout', 'usage', 'gateway', 'support', 'finance', 'admin')),
    name        text        not null check (length(name) between 1 and 200),
    secret_hash bytea       not null check (length(secret_hash) = 32),
    created_at  timestamptz not null,
    revoked_at  timestamptz
);

-- What support and finance did, why, and who they were (R52).
create table audit_log (
    id         bigint generated always as identity primary key,
    at         timestamptz not null,
    actor      text        not null,
    role       text        not null,
    action     text        not null,
    account_id uuid references accounts,
    subject    text        not null,
    reason     text        not null check (length(reason) between 1 and 2000),
    detail     jsonb       not null default '{}'
);
create index audit_log_account on audit_log (account_id, id);

-- +goose StatementBegin
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append only: % refused', tg_table_name, lower(tg_op)
        using errcode = 'restrict_violation';
end
$$;
-- +goose StatementEnd

create trigger audit_log_append_only before update or delete on audit_log
    for each row execute function refuse_change();
create trigger audit_log_never_emptied before truncate on audit_log
    for each statement execute function refuse_change();

-- +goose Down
drop table audit_log, role_keys, cards, accounts;
drop function refuse_change();
