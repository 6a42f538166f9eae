-- +goose Up

-- What was created for an account at a cost of its own: a deployment, or a job
-- (R10). The price says what it cost; it is charged by the transaction that writes
-- the row.
create table creations (
    id              uuid primary key,
    account_id      uuid        not null references accounts,
    kind            text        not null check (kind in ('dedicated_endpoint', 'hosted_model', 'fine_tuning', 'evaluation')),
    name            text        not null check (length(name) between 1 and 200),
    price_id        integer     not null references prices,
    idempotency_key text check (length(idempotency_key) between 1 and 255),
    created_at      timestamptz not null,
    unique (id, account_id),
    unique (account_id, idempotency_key)
);
create index creations_account on creations (account_id, created_at);
create trigger creations_append_only before update or delete on creations
    for each row execute function refuse_change();
create trigger creations_never_emptied before truncate on creations
    for each statement execute function refuse_change();

-- What is used from its start until it is stopped, needed or not (R46), in whole
-- seconds: the second in which it starts counts, that in which it is stopped does
-- not. It is charged up to accrued_until.
create table deployments (
    id            uuid primary key,
    account_id    uuid        not null,
    sku           text        not null,
    started_at    timestamptz not null check (mod(extract(epoch from started_at), 1) = 0),
    accrued_until timestamptz not null check (mod(extract(epoch from accrued_until), 1) = 0),
    stopped_at    timestamptz,
    unique (id, account_id),
    foreign key (id, account_id) references creations (id, account_id),
    constraint deployments_accrue_from_their_start check (accrued_until >= started_at),
    constraint deployments_are_charged_to_their_end check (stopped_at = accrued_until)
) with (fillfactor = 70);
create index deployments_account on deployments (account_id, id);
-- Without accrued_until: each step would otherwise have to write the index as well.
create index deployments_running on deployments (account_id, id) where stopped_at is null;

-- +goose StatementBegin
create function deployments_only_move_on() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' or old.stopped_at is not null or new.accrued_until < old.accrued_until
       or (new.id, new.account_id, new.sku, new.started_at) is distinct from (old.id, old.account_id, old.sku, old.started_at) then
        raise exception 'deployment %: what is settled cannot change', old.id
            using errcode = 'restrict_violation', constraint = 'deployments_only_move_on';
    end if;
    return new;
end
$$;
-- +goose StatementEnd
create trigger deployments_only_move_on before update or delete on deployments
    for each row execute function deployments_only_move_on();
create trigger deployments_never_emptied before truncate on deployments
    for each statement execute function refuse_change();

-- How long each deployment ran, and what that cost, by month and price (R47). The
-- cost is that of all the seconds together, rounded down to the pico-dollar once:
-- into how many steps the time was cut makes no difference.
create table deployment_totals (
    account_id    uuid    not null,
    period        date    not null,
    deployment_id uuid    not null,
    price_id      integer not null references prices,
    seconds       bigint  not null check (seconds > 0),
    picos         numeric not null check (picos >= 0),
    primary key (account_id, period, deployment_id, price_id),
    foreign key (deployment_id, account_id) references deployments (id, account_id)
) with (fillfactor = 50);
-- Numbers the charges for deployments: the ledger transaction's key is
-- deployments/<step>/<account>.
create sequence deployment_steps;

-- Charges those of the deployments that still run for their time up to p_to, a
-- whole second: each second by the price in force when it begins (R46), which is
-- cut at months and at changes of the price. Says how many moved on. The caller
-- holds the balances of their accounts, and nobody else moves them.
-- +goose StatementBegin
create function deployments_advance(
    p_deployments uuid[], p_to timestamptz, p_tiers bigint[], p_limits bigint[], p_at timestamptz
) returns bigint language plpgsql as $$
declare
    v_moved    bigint;
    v_accounts uuid[];
    v_picos    numeric[];
begin
    -- A price that is being written may begin before p_to.
    lock table prices in share mode;
    with due as materialized (
        select d.id, d.account_id, d.sku, tstzrange(d.accrued_until, p_to) as time from deployments d
         where d.id = any(p_deployments) and d.stopped_at is null and d.accrued_until < p_to),
    priced as materialized (
        select p.id, p.sku, p.picos_per_unit,
               tstzrange(begins, lead(begins) over (partition by p.sku order by p.from_at)) as time
          from prices p
         cross join lateral (select date_trunc('second', p.from_at + interval '999999 microseconds') as begins) b
         where p.sku in (select sku from due)),
    months as materialized (
        select m::date as period, tstzrange(m at time zone 'UTC', (m + interval '1 month') at time zone 'UTC') as time
          from generate_series((select date_trunc('month', min(lower(time)) at time zone 'UTC') from due), p_to at time zone 'UTC', '1 month') m),
    stretches as (
        select d.account_id, m.period, d.id as deployment_id, p.id as price_id, p.picos_per_unit,
               extract(epoch from upper(d.time * p.time * m.time) - lower(d.time * p.time * m.time))::bigint as seconds
          from due d
          join priced p on p.sku = d.sku and p.time && d.time
          join months m on m.time && (d.time * p.time)),
    grown as materialized (
        select s.account_id, s.period, s.deployment_id, s.price_id, s.seconds + coalesce(t.seconds, 0) as seconds, coalesce(t.picos, 0) as before,
               div((s.seconds + coalesce(t.seconds, 0))::numeric * s.picos_per_unit, 60) as picos
          from stretches s
          left join deployment_totals t using (account_id, period, deployment_id, price_id)),
    kept as (
        insert into deployment_totals as t (account_id, period, deployment_id, price_id, seconds, picos)
        select account_id, period, deployment_id, price_id, seconds, picos from grown
        on conflict (account_id, period, deployment_id, price_id) do update set seconds = excluded.seconds, picos = excluded.picos),
    moved as (
        update deployments d set accrued_until = p_to from due where d.id = due.id
        returning d.id)
    select (select count(*) from moved), array_agg(c.account_id order by c.account_id), array_agg(c.picos order by c.account_id)
      into v_moved, v_accounts, v_picos
      from (select g.account_id, sum(g.picos - g.before) as picos from grown g group by g.account_id) c;
    if v_moved > 0 then
        perform usage_charge('deployments', 'deployments/' || nextval('deployment_steps'), v_accounts, v_picos, p_tiers, p_limits, p_at);
    end if;
    return v_moved;
end
$$;

-- Charges up to p_most running deployments for their time up to the last whole
-- minute, and says how many. Those that lag catch up at once. Of workers that come
-- together one does it. The database's clock has the last word, so that a worker
-- whose clock is ahead charges nothing ahead of time (F24).
create function deployments_accrue(p_most integer, p_tiers bigint[], p_limits bigint[], p_at timestamptz) returns bigint language plpgsql as $$
declare
    v_to          timestamptz := date_trunc('minute', least(p_at, clock_timestamp()));
    v_deployments uuid[];
    v_accounts    uuid[];
begin
    if not pg_try_advisory_xact_lock(hashtext('deployments_accrue')) then
        return 0;
    end if;
    select array_agg(d.id), array_agg(distinct d.account_id) into v_deployments, v_accounts
      from (select id, account_id from deployments where stopped_at is null and accrued_until < v_to order by account_id, id limit p_most) d;
    if v_deployments is null then
        return 0;
    end if;
    perform from balances where account_id = any(v_accounts) order by account_id for update;
    return deployments_advance(v_deployments, v_to, p_tiers, p_limits, p_at);
end
$$;

-- Stops a deployment and charges it to that second, in one. One that has stopped
-- stays as it is. A clock that is behind what was charged already stops it there.
create function deployment_stop(p_deployment uuid, p_tiers bigint[], p_limits bigint[], p_at timestamptz) returns void language plpgsql as $$
declare
    v_account uuid;
begin
    select account_id into strict v_account from deployments where id = p_deployment;
    perform from balances where account_id = v_account for update;
    perform deployments_advance(array[p_deployment], date_trunc('second', least(p_at, clock_timestamp())), p_tiers, p_limits, p_at);
    update deployments set stopped_at = accrued_until where id = p_deployment and stopped_at is null;
end
$$;

-- Creates something for an account and charges its creation by the price in force
-- (R10), once for an idempotency key: a deployment of p_sku, or a job where that is
-- null. Answers its id, or why it was refused; then nothing is written. Whoever
-- creates holds the balances, so that one balance pays for no two.
create function resource_create(
    p_id uuid, p_account uuid, p_kind text, p_sku text, p_name text, p_creation_sku text, p_key text,
    p_tiers bigint[], p_limits bigint[], p_at timestamptz,
    out id uuid, out fresh boolean, out refusal text, out cost_picos bigint, out balance_micros bigint
) language plpgsql as $$
declare
    v_start     timestamptz := date_trunc('second', p_at);
    v_remainder integer;
    v_price     integer;
    v_same      boolean;
    v_suspended boolean;
    s           record;
begin
    select b.free_micros + b.purchased_micros - b.accrued_micros into strict balance_micros
      from balances b where b.account_id = p_account for update;
    select c.id, (c.kind, c.name, d.sku) is not distinct from (p_kind, p_name, p_sku) into id, v_same
      from creations c left join deployments d on d.id = c.id
     where c.account_id = p_account and c.idempotency_key = p_key;
    fresh := not found;
    if not fresh then
        if not v_same then
            raise exception 'key % created something else', p_key using errcode = 'unique_violation', constraint = 'creations_key_same_contents';
        end if;
        return;
    end if;

    select p.id, p.picos_per_unit into strict v_price, cost_picos
      from prices p where p.sku = p_creation_sku and p.unit = 'job' and p.from_at <= p_at order by p.from_at desc limit 1;
    select a.tier, a.admitted, e.suspended into strict s
      from account_standings(array[p_account], p_tiers, p_limits) a join entitlements e on e.account_id = a.account_id;
    select coalesce(max(m.remainder_picos), 0) into v_remainder from usage_meters m where m.account_id = p_account;
    refusal := case
        when not starts_with(p_sku, p_kind || '.')
             or not exists (select from prices p where p.sku = p_sku and p.unit = 'minute' and p.from_at <= v_start) and p_sku is not null then 'unknown_sku'
        when s.suspended then 'suspended'
        when s.tier = 0 then 'limited_tier'
        when not s.admitted then 'limit_reached'
        when balance_micros::numeric * 1000000 < cost_picos::numeric + v_remainder then 'insufficient_balance'
    end;
    if refusal is not null then
        return;
    end if;

    id := p_id;
    insert into creations (id, account_id, kind, name, price_id, idempotency_key, created_at)
    values (p_id, p_account, p_kind, p_name, v_price, p_key, p_at);
    if p_sku is not null then
        insert into deployments (id, account_id, sku, started_at, accrued_until) values (p_id, p_account, p_sku, v_start, v_start);
    end if;
    perform usage_charge('creation', 'creation/' || p_id, array[p_account], array[cost_picos::numeric], p_tiers, p_limits, p_at);
end
$$;
-- +goose StatementEnd

-- When a row was written, by the database's clock: what was at an instant is told by
-- one clock, whoever's the change's own time was (R53).
alter table entitlement_changes add column recorded_at timestamptz;
alter table account_terms add column recorded_at timestamptz;
alter table entitlement_changes disable trigger entitlement_changes_append_only;
alter table account_terms disable trigger account_terms_append_only;
update entitlement_changes set recorded_at = changed_at;
update account_terms set recorded_at = changed_at;
alter table entitlement_changes enable trigger entitlement_changes_append_only;
alter table account_terms enable trigger account_terms_append_only;
alter table entitlement_changes alter column recorded_at set not null, alter column recorded_at set default clock_timestamp();
alter table account_terms alter column recorded_at set not null, alter column recorded_at set default clock_timestamp();

-- +goose Down
alter table account_terms drop column recorded_at;
alter table entitlement_changes drop column recorded_at;
drop function resource_create(uuid, uuid, text, text, text, text, text, bigint[], bigint[], timestamptz),
    deployment_stop(uuid, bigint[], bigint[], timestamptz),
    deployments_accrue(integer, bigint[], bigint[], timestamptz),
    deployments_advance(uuid[], timestamptz, bigint[], bigint[], timestamptz);
drop sequence deployment_steps;
drop table deployment_totals, deployments;
drop function deployments_only_move_on();
drop table creations;
