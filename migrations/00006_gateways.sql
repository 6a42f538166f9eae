-- +goose Up

-- API keys of accounts. The text is shown once and kept nowhere; its hash travels
-- to the gateways with the entitlement.
create table account_keys (
    id          text primary key check (id ~ '^[0-9a-f]{16}$'),
    account_id  uuid        not null references accounts,
    name        text        not null check (length(name) <= 200),
    secret_hash bytea       not null check (length(secret_hash) = 32),
    created_at  timestamptz not null,
    revoked_at  timestamptz
);
create index account_keys_account on account_keys (account_id, created_at desc, id);

-- What support has set for one account alone (R15): about a model or about a class
-- of requests. One that takes another's place ends it, so that all that ever held
-- is here.
create table account_exceptions (
    id         uuid primary key,
    account_id uuid        not null references accounts,
    model      text        not null default '' check (length(model) <= 200),
    class      text        not null default '' check (class in ('', 'llm', 'embeddings', 'rerank')),
    access     text        not null default '' check (access in ('', 'allow', 'deny')),
    rpm        bigint check (rpm >= 0),
    until      timestamptz,
    reason     text        not null check (length(reason) between 1 and 2000),
    created_at timestamptz not null,
    ended_at   timestamptz,
    constraint account_exceptions_about_one_thing check ((model = '') <> (class = '')),
    constraint account_exceptions_say_something check (access <> '' or rpm is not null),
    constraint account_exceptions_open_models check (access = '' or model <> '')
);
create unique index account_exceptions_in_force on account_exceptions (account_id, model, class) where ended_at is null;
create index account_exceptions_account on account_exceptions (account_id, created_at desc, id);

-- Since when some gateway may lack the account's newest entitlement; null when all
-- are known to hold it. The time is the database's own (F24). Gateways are filled in
-- this order, so it is indexed, and the index is as long as the queue.
alter table entitlements add column waiting_since timestamptz;
create index entitlements_waiting on entitlements (waiting_since, account_id) where waiting_since is not null;

-- +goose StatementBegin
create function entitlement_waits() returns trigger language plpgsql as $$
begin
    if new.version > old.version then
        new.waiting_since := coalesce(old.waiting_since, clock_timestamp());
    end if;
    return new;
end
$$;
-- +goose StatementEnd
create trigger entitlements_wait before update on entitlements
    for each row execute function entitlement_waits();

update entitlements e set waiting_since = clock_timestamp()
 where exists (select from purchases p where p.account_id = e.account_id and p.tier_ended_at is null and p.entitlement_version > 0);

-- Gives an account's entitlement a new version and has it pushed, where what changed
-- stands in another table than entitlements.
-- +goose StatementBegin
create function entitlement_renew(p_account uuid, p_at timestamptz) returns void language sql as $$
    update entitlements set version = version + 1, changed_at = p_at where account_id = p_account;
    select outbox_put('propagate', p_account::text);
$$;
-- +goose StatementEnd

-- What is known of each gateway as a whole: whether it was ever filled, how far a
-- full sync has come, and which worker looks after it now.
create table gateways (
    url            text primary key,
    -- When a worker last had it in its configuration.
    seen_at        timestamptz not null,
    lease_holder   text        not null,
    lease_until    timestamptz not null,
    -- The store that the last full sync filled, and when.
    store          text,
    synced_at      timestamptz,
    -- The full sync under way: of which store, since when, up to which account.
    filling        text,
    filling_since  timestamptz,
    filled_up_to   uuid,
    filled         bigint      not null default 0,
    heard_at       timestamptz,
    last_error     text,
    failed_at      timestamptz
);

-- A gateway says which version it holds. Purchases that now have what they
-- wait for at every gateway are told. A gateway that is ahead of us (we were
-- restored from a backup, say) ignores what we push, so its answer acknowledges
-- nothing: our version is moved past its own and pushed again (I10). A repeat of what
-- it held before keeps the time at which it got it.
-- +goose StatementBegin
create or replace function gateway_acknowledge(p_account uuid, p_gateway text, p_held bigint, p_gateways text[], p_at timestamptz)
returns void language plpgsql as $$
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
       set version = greatest(a.version, excluded.version),
           acknowledged_at = case when a.version < excluded.version or a.acknowledged_at is null
                                  then excluded.acknowledged_at else a.acknowledged_at end,
           last_error = null, failed_at = null;
    perform entitlements_everywhere(array[p_account], p_gateways);
end
$$;

-- After acknowledgements: tells the purchases whose version every gateway holds, and
-- takes the accounts whose newest version every gateway holds out of the queue.
create function entitlements_everywhere(p_accounts uuid[], p_gateways text[]) returns void language plpgsql as $$
declare
    held record;
begin
    for held in
        select e.account_id, e.version, min(coalesce(a.version, 0)) as everywhere
          from entitlements e cross join unnest(p_gateways) as g (gateway)
          left join gateway_acks a on a.account_id = e.account_id and a.gateway = g.gateway
         where e.account_id = any(p_accounts) and e.waiting_since is not null
         group by e.account_id, e.version
    loop
        perform outbox_put('tier_propagated', id::text)
           from purchases
          where account_id = held.account_id and tier_ended_at is null and balance_ended_at is not null
            and entitlement_version <= held.everywhere;
        update entitlements set waiting_since = null where account_id = held.account_id and version <= held.everywhere;
    end loop;
end
$$;

-- The same as gateway_acknowledge for a page of accounts, none of which the gateway
-- may be ahead of us with.
create function gateway_acknowledge_page(p_gateway text, p_accounts uuid[], p_held bigint[], p_gateways text[], p_at timestamptz)
returns void language plpgsql as $$
begin
    -- Locked first, as above, but only those that somebody waits for, and in one order.
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

-- +goose Down
drop table gateways;
drop function gateway_acknowledge_page(text, uuid[], bigint[], text[], timestamptz);
-- +goose StatementBegin
create or replace function gateway_acknowledge(p_account uuid, p_gateway text, p_held bigint, p_gateways text[], p_at timestamptz)
returns void language plpgsql as $$
declare
    everywhere bigint;
begin
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
drop function entitlements_everywhere(uuid[], text[]), entitlement_renew(uuid, timestamptz);
drop trigger entitlements_wait on entitlements;
drop function entitlement_waits();
drop index entitlements_waiting;
alter table entitlements drop column waiting_since;
drop table account_exceptions, account_keys;
