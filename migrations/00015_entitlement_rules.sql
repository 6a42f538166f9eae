-- +goose Up

-- What an account had paid when the version of its entitlement came to be, so that a
-- gateway can say how far the next tier is (R14). A purchase that changes no tier
-- leaves it, and so waits for no gateway (R22). Whoever lets lifetime spend fall gives
-- the entitlement a new version, or the gateways would promise too much.
alter table entitlements add column spend_micros bigint not null default 0;

-- +goose StatementBegin
create or replace function entitlement_waits() returns trigger language plpgsql as $$
begin
    if new.version > old.version then
        new.waiting_since := coalesce(old.waiting_since, clock_timestamp());
        new.spend_micros := (select b.lifetime_spend_micros from balances b where b.account_id = new.account_id);
    end if;
    return new;
end
$$;
-- +goose StatementEnd

-- The rules by which the programs that run now make entitlements, as fingerprints,
-- and when one of them last said so, by the database's clock (F24).
create table running_rules (
    rules   text primary key check (length(rules) between 1 and 100),
    seen_at timestamptz not null
);

-- The rules by which every entitlement has been made, and how far those of a new
-- release have come.
create table entitlement_rules (
    one_row  boolean primary key default true check (one_row),
    applied  text,
    applying text,
    up_to    uuid
);
insert into entitlement_rules default values;

-- Has the entitlements of the next accounts follow the rules of the caller, if others
-- were in force before, and answers how many those are. While programs of other rules
-- may still push by theirs nothing is done: their content would arrive under the new
-- version, and stay. What moves is pushed by pages, in the order of waiting.
-- +goose StatementBegin
create function entitlements_follow_rules(
    p_rules text, p_quiet interval, p_most integer, p_tiers bigint[], p_limits bigint[], p_at timestamptz
) returns bigint language plpgsql as $$
declare
    r    entitlement_rules;
    page uuid[];
begin
    if exists (select from running_rules where rules <> p_rules and seen_at > clock_timestamp() - p_quiet) then
        return 0;
    end if;
    -- Another worker that is at it does the rest as well.
    select * into r from entitlement_rules for update skip locked;
    if not found or r.applied = p_rules then
        return 0;
    end if;
    if r.applying is distinct from p_rules then
        r.up_to := null;
    end if;
    select array_agg(n.account_id order by n.account_id) into page
      from (select account_id from entitlements where r.up_to is null or account_id > r.up_to order by account_id limit p_most) n;
    if page is null then
        update entitlement_rules set applied = p_rules, applying = null, up_to = null;
        return 0;
    end if;
    perform from entitlements_settle(page, p_tiers, p_limits, p_at);
    update entitlements set version = version + 1, changed_at = p_at where account_id = any(page) and version > 0;
    update entitlement_rules set applying = p_rules, up_to = page[cardinality(page)];
    return cardinality(page);
end
$$;
-- +goose StatementEnd

-- The check of the reference took a lock on the account's row for each acknowledgement,
-- which was more than half of what a page of them costs. What is acknowledged is an
-- account's entitlement, and neither is ever deleted.
alter table gateway_acks drop constraint gateway_acks_account_id_fkey;
-- +goose StatementBegin
create or replace function gateway_acknowledge_page(p_gateway text, p_accounts uuid[], p_held bigint[], p_gateways text[], p_at timestamptz)
returns void language plpgsql as $$
begin
    -- Locked first, as in gateway_acknowledge, but only those that somebody waits for,
    -- and in one order.
    perform from entitlements where account_id = any(p_accounts) and waiting_since is not null order by account_id for update;
    insert into gateway_acks as a (account_id, gateway, version, acknowledged_at)
    select e.account_id, p_gateway, h.held, p_at
      from unnest(p_accounts, p_held) as h (account, held) join entitlements e on e.account_id = h.account
     order by e.account_id
    on conflict (account_id, gateway) do update
       set version = greatest(a.version, excluded.version), acknowledged_at = excluded.acknowledged_at, last_error = null, failed_at = null
     where a.version < excluded.version or a.last_error is not null;
    perform entitlements_everywhere(p_accounts, p_gateways);
end
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
create or replace function gateway_acknowledge_page(p_gateway text, p_accounts uuid[], p_held bigint[], p_gateways text[], p_at timestamptz)
returns void language plpgsql as $$
begin
    perform from entitlements where account_id = any(p_accounts) and waiting_since is not null order by account_id for update;
    insert into gateway_acks as a (account_id, gateway, version, acknowledged_at)
    select h.account, p_gateway, h.held, p_at
      from unnest(p_accounts, p_held) as h (account, held)
     order by h.account
    on conflict (account_id, gateway) do update
       set version = greatest(a.version, excluded.version), acknowledged_at = excluded.acknowledged_at, last_error = null, failed_at = null
     where a.version < excluded.version or a.last_error is not null;
    perform entitlements_everywhere(p_accounts, p_gateways);
end
$$;
-- +goose StatementEnd
alter table gateway_acks add constraint gateway_acks_account_id_fkey foreign key (account_id) references accounts;
drop function entitlements_follow_rules(text, interval, integer, bigint[], bigint[], timestamptz);
drop table entitlement_rules, running_rules;
-- +goose StatementBegin
create or replace function entitlement_waits() returns trigger language plpgsql as $$
begin
    if new.version > old.version then
        new.waiting_since := coalesce(old.waiting_since, clock_timestamp());
    end if;
    return new;
end
$$;
-- +goose StatementEnd
alter table entitlements drop column spend_micros;
