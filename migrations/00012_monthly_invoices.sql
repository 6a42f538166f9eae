-- +goose Up

alter table ledger_transactions drop constraint ledger_transactions_kind_check;
alter table ledger_transactions add constraint ledger_transactions_kind_check
    check (kind in ('purchase', 'free_credits', 'usage', 'deployments', 'creation',
                    -- Credits that clear what is accrued (R9); an invoice, and its ends.
                    'settlement', 'invoice', 'invoice_payment', 'invoice_void', 'invoice_loss'));

alter table balances add column invoiced_micros bigint not null default 0 constraint invoiced_is_a_debt check (invoiced_micros >= 0);

-- +goose StatementBegin
create or replace function ledger_entries_follow() returns trigger language plpgsql as $$
declare
    broken bigint;
    excess numeric;
begin
    -- A transaction is written whole, by one statement: there is one line 1, so
    -- entries that are added later come without it.
    select transaction_id, sum(amount_micros) into broken, excess
      from written
     group by transaction_id
    having sum(amount_micros) <> 0 or min(line) <> 1
     limit 1;
    if found and excess <> 0 then
        raise exception 'ledger transaction % does not balance', broken
            using errcode = 'check_violation', constraint = 'ledger_transactions_balance';
    elsif found then
        raise exception 'ledger transaction %: entries do not begin at line 1, or were added later', broken
            using errcode = 'check_violation', constraint = 'ledger_transactions_written_whole';
    end if;
    -- I4: what counts to a tier is money that was captured.
    if exists (select from written w join ledger_transactions t on t.id = w.transaction_id
                where w.book = 'payments' and t.kind not in ('purchase', 'invoice_payment')) then
        raise exception 'only a purchase or the payment of an invoice takes from the book payments'
            using errcode = 'check_violation', constraint = 'ledger_payments_are_captured';
    end if;

    update balances b
       set free_micros           = b.free_micros + w.free,
           purchased_micros      = b.purchased_micros + w.purchased,
           accrued_micros        = b.accrued_micros - w.accrued,
           invoiced_micros       = b.invoiced_micros - w.invoiced,
           lifetime_spend_micros = b.lifetime_spend_micros - w.payments
      from (select account_id,
                   coalesce(sum(amount_micros) filter (where book = 'free'), 0)      as free,
                   coalesce(sum(amount_micros) filter (where book = 'purchased'), 0) as purchased,
                   coalesce(sum(amount_micros) filter (where book = 'accrued'), 0)   as accrued,
                   coalesce(sum(amount_micros) filter (where book = 'invoiced'), 0)  as invoiced,
                   coalesce(sum(amount_micros) filter (where book = 'payments'), 0)  as payments
              from written
             group by account_id) w
     where b.account_id = w.account_id;

    -- What a credit book gains is a grant of its own; what it loses was taken from one.
    insert into credit_grants (id, account_id, book, granted_micros, left_micros)
    select transaction_id, account_id, book, amount_micros, amount_micros
      from written where book in ('free', 'purchased') and amount_micros > 0;
    update credit_grants g set left_micros = g.left_micros + w.amount
      from (select grant_id, account_id, book, sum(amount_micros) as amount
              from written where grant_id is not null group by grant_id, account_id, book) w
     where g.id = w.grant_id and g.account_id = w.account_id and g.book = w.book;
    if exists (select from written w left join credit_grants g on (g.id, g.account_id, g.book) = (w.grant_id, w.account_id, w.book)
                where w.book in ('free', 'purchased') and w.amount_micros < 0 and g.id is null) then
        raise exception 'an entry takes credits and names no grant of its account and book'
            using errcode = 'check_violation', constraint = 'ledger_credits_come_from_grants';
    end if;
    return null;
end
$$;
-- +goose StatementEnd

-- How much of what an account used was paid by which credits, in all, and how far
-- that was invoiced: what invoices cover is a running sum, so that nothing falls
-- between two of them (R30). Kept with the charges, under the balance.
alter table usage_meters
    add column used_micros               bigint  not null default 0 check (used_micros >= 0),
    add column free_used_micros          bigint  not null default 0 check (free_used_micros >= 0),
    add column purchased_used_micros     bigint  not null default 0 check (purchased_used_micros >= 0),
    -- The newest month that was invoiced; what is reported for it later, or for one
    -- before it, goes on the next invoice (R11).
    add column invoiced_through          date,
    add column invoiced_micros           bigint  not null default 0,
    add column invoiced_remainder_picos  integer not null default 0 check (invoiced_remainder_picos between 0 and 999999),
    add column free_invoiced_micros      bigint  not null default 0,
    add column purchased_invoiced_micros bigint  not null default 0,
    -- What the last invoice left owed, under the least charge (R3).
    add column carried_micros            bigint  not null default 0 check (carried_micros >= 0),
    add constraint usage_meters_invoice_what_was_used check (
        invoiced_micros between 0 and used_micros
        and free_invoiced_micros between 0 and free_used_micros
        and purchased_invoiced_micros between 0 and purchased_used_micros);
update usage_meters m
   set used_micros = s.used, free_used_micros = s.free, purchased_used_micros = s.purchased
  from (select e.account_id, coalesce(sum(e.amount_micros) filter (where e.book = 'revenue'), 0) as used,
               -coalesce(sum(e.amount_micros) filter (where e.book = 'free'), 0)              as free,
               -coalesce(sum(e.amount_micros) filter (where e.book = 'purchased'), 0)         as purchased
          from ledger_entries e join ledger_transactions t on t.id = e.transaction_id
         where t.kind in ('usage', 'deployments', 'creation')
         group by e.account_id) s
 where m.account_id = s.account_id;

-- Credits clear what is accrued at once (R9), so that an account never has both.
-- The caller holds the balance, or comes from a posting that does.
-- +goose StatementBegin
create function accrued_settle(p_account uuid, p_cause text, p_at timestamptz) returns void language plpgsql as $$
declare
    v_free      bigint;
    v_purchased bigint;
begin
    select least(b.accrued_micros, b.free_micros), least(b.accrued_micros - least(b.accrued_micros, b.free_micros), b.purchased_micros)
      into v_free, v_purchased
      from balances b
     where b.account_id = p_account and b.accrued_micros > 0 and b.free_micros + b.purchased_micros > 0 for update;
    if not found then
        return;
    end if;
    perform ledger_post('settlement/' || p_cause, 'settlement', p_account, p_at, array_agg(e.book::ledger_book), array_agg(e.amount))
       from (values ('free', -v_free), ('purchased', -v_purchased), ('accrued', v_free + v_purchased)) as e (book, amount)
      where e.amount <> 0;
    update usage_meters
       set free_used_micros = free_used_micros + v_free, purchased_used_micros = purchased_used_micros + v_purchased
     where account_id = p_account;
end
$$;

create function balances_credits_clear_accrued() returns trigger language plpgsql as $$
begin
    if exists (select from balances where account_id = new.account_id and accrued_micros > 0 and free_micros + purchased_micros > 0) then
        raise exception 'account %: it holds credits, and owes for usage that they have not cleared', new.account_id
            using errcode = 'check_violation', constraint = 'balances_credits_clear_accrued';
    end if;
    return null;
end
$$;
-- +goose StatementEnd
select accrued_settle(account_id, 'upgrade/' || account_id, now()) from balances where accrued_micros > 0 and free_micros + purchased_micros > 0;
set constraints all immediate;
set constraints all deferred;
create constraint trigger balances_credits_clear_accrued after update on balances
    deferrable initially deferred
    for each row when (new.accrued_micros > 0 and new.free_micros + new.purchased_micros > 0)
    execute function balances_credits_clear_accrued();

-- +goose StatementBegin
create or replace function purchase_credit(
    p_purchase uuid, p_tiers bigint[], p_limits bigint[], p_at timestamptz, out entitlement_version bigint, out tier_changed boolean
) language plpgsql as $$
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
    perform accrued_settle(p.account_id, 'purchase/' || p.id, p_at);
    select s.version, s.changed into entitlement_version, tier_changed
      from entitlements_settle(array[p.account_id], p_tiers, p_limits, p_at) s;
    if not tier_changed then
        entitlement_version := 0;
    end if;
    update purchases u set balance_ended_at = p_at, entitlement_version = purchase_credit.entitlement_version where u.id = p.id;
end
$$;

-- Gives free credits (R4), once for a key. They clear what is accrued, and let a
-- blocked account go on.
create function free_credits_grant(
    p_key text, p_account uuid, p_micros bigint, p_tiers bigint[], p_limits bigint[], p_at timestamptz, out transaction_id bigint, out fresh boolean
) language plpgsql as $$
begin
    select g.transaction_id, g.fresh into transaction_id, fresh
      from ledger_post(p_key, 'free_credits', p_account, p_at, array['promotions', 'free']::ledger_book[], array[-p_micros, p_micros]) g;
    if fresh then
        perform accrued_settle(p_account, transaction_id::text, p_at);
        perform entitlements_settle(array[p_account], p_tiers, p_limits, p_at);
    end if;
end
$$;

-- On the invoice of which month something of p_period goes, where the account is
-- invoiced through the other one (R11).
create function invoice_period(p_period date, p_invoiced_through date) returns date language sql immutable as $$
    select greatest(p_period, (p_invoiced_through + interval '1 month')::date);
$$;
-- +goose StatementEnd

alter table usage_totals add column invoice_period date;
update usage_totals set invoice_period = period;
alter table usage_totals
    alter column invoice_period set not null,
    drop constraint usage_totals_pkey,
    add primary key (account_id, invoice_period, period, price_id, resource);

alter table deployment_totals add column invoice_period date;
update deployment_totals set invoice_period = period;
alter table deployment_totals
    alter column invoice_period set not null,
    drop constraint deployment_totals_pkey,
    add primary key (account_id, period, deployment_id, price_id, invoice_period);
create index deployment_totals_invoiced on deployment_totals (account_id, invoice_period);

alter table creations add column invoice_period date;
alter table creations disable trigger creations_append_only;
update creations set invoice_period = date_trunc('month', created_at at time zone 'UTC')::date;
alter table creations enable trigger creations_append_only;
alter table creations alter column invoice_period set not null;
create index creations_invoiced on creations (account_id, invoice_period);
-- +goose StatementBegin
create function creations_set_invoice_period() returns trigger language plpgsql as $$
begin
    new.invoice_period := invoice_period(date_trunc('month', new.created_at at time zone 'UTC')::date,
                                         (select invoiced_through from usage_meters where account_id = new.account_id));
    return new;
end
$$;
-- +goose StatementEnd
create trigger creations_set_invoice_period before insert on creations
    for each row execute function creations_set_invoice_period();

-- +goose StatementBegin
create or replace function usage_charge(
    p_kind text, p_key text, p_accounts uuid[], p_picos numeric[], p_tiers bigint[], p_limits bigint[], p_at timestamptz
) returns void language plpgsql as $$
begin
    with due as materialized (
        select c.account_id, c.picos + coalesce(m.remainder_picos, 0) as picos, b.free_micros, b.purchased_micros
          from unnest(p_accounts, p_picos) as c (account_id, picos)
          join balances b on b.account_id = c.account_id
          left join usage_meters m on m.account_id = c.account_id),
    whole as (
        select account_id, div(picos, 1000000)::bigint as micros, mod(picos, 1000000)::integer as remainder, free_micros, purchased_micros from due),
    shared as materialized (
        select account_id, micros, remainder, least(micros, free_micros) as free,
               least(micros - least(micros, free_micros), purchased_micros) as purchased from whole),
    metered as (
        insert into usage_meters as m (account_id, remainder_picos, used_micros, free_used_micros, purchased_used_micros)
        select account_id, remainder, micros, free, purchased from shared
        on conflict (account_id) do update
           set remainder_picos = excluded.remainder_picos, used_micros = m.used_micros + excluded.used_micros,
               free_used_micros = m.free_used_micros + excluded.free_used_micros,
               purchased_used_micros = m.purchased_used_micros + excluded.purchased_used_micros),
    posted as (
        insert into ledger_transactions (idempotency_key, kind, account_id, occurred_at)
        select p_key || '/' || account_id, p_kind, account_id, p_at from shared where micros > 0
        returning id, account_id),
    parts as (
        select t.account_id, t.book, t.grant_id, -t.taken as amount
          from (select array_agg(account_id) as accounts, array_agg(book) as books, array_agg(amount) as amounts
                  from (select account_id, 'free'::ledger_book as book, free as amount from shared
                        union all select account_id, 'purchased', purchased from shared) a) wanted,
               credit_takes(wanted.accounts, wanted.books, wanted.amounts) t
        union all
        select account_id, 'accrued', null, free + purchased - micros from shared where micros > free + purchased
        union all
        select account_id, 'revenue', null, micros from shared where micros > 0)
    insert into ledger_entries (transaction_id, line, account_id, book, amount_micros, grant_id)
    select p.id, row_number() over (partition by e.account_id order by e.book, e.grant_id), e.account_id, e.book, e.amount, e.grant_id
      from parts e join posted p on p.account_id = e.account_id;

    perform entitlements_settle(p_accounts, p_tiers, p_limits, p_at);
end
$$;

create or replace function usage_record(
    p_accounts uuid[], p_ids text[], p_ats timestamptz[], p_prices integer[], p_quantities bigint[], p_resources text[],
    p_known integer, p_careful boolean, p_tiers bigint[], p_limits bigint[], p_at timestamptz
) returns table (place bigint, reason text) language plpgsql as $$
declare
    v_batch    bigint := nextval('usage_batches');
    v_month    timestamptz;
    v_next     timestamptz;
    v_counted  bigint;
    v_accounts uuid[];
    v_places   bigint[];
    v_reasons  text[];
    -- The counted reports by account, month, price and resource.
    g_accounts uuid[];
    g_periods  date[];
    g_prices   integer[];
    g_resources text[];
    g_events   bigint[];
    g_quantities numeric[];
    g_picos    numeric[];
begin
    if p_known is distinct from (select max(id) from prices) then
        raise exception 'there are newer prices than %', p_known using errcode = 'raise_exception', constraint = 'usage_prices_are_newest';
    end if;
    select array_agg(distinct a.id order by a.id) into v_accounts from unnest(p_accounts) a (id);
    select date_trunc('month', min(t.at) at time zone 'UTC') at time zone 'UTC' into v_month from unnest(p_ats) t (at);
    v_next := (v_month at time zone 'UTC' + interval '1 month') at time zone 'UTC';
    if not p_careful and exists (select from unnest(p_ats) t (at) where t.at >= v_next) then
        p_careful := true;
    end if;
    if p_careful then
        perform from balances where account_id = any(v_accounts) order by account_id for update;
    end if;

    with judged as materialized (
        select e.*, case
                 when s.account_id is null then 'unknown_account'
                 when p_careful and (select true from usage_events u where u.account_id = e.account_id and u.event_id = e.event_id limit 1) then 'duplicate'
                 when e.at >= s.blocked_since then case when s.suspended then 'suspended' when s.tier = 0 then 'limited_tier' else 'limit_reached' end
               end as reason
          from unnest(p_accounts, p_ids, p_ats, p_prices, p_quantities, p_resources)
                 with ordinality as e (account_id, event_id, at, price_id, quantity, resource, place)
          left join entitlements s on s.account_id = e.account_id),
    stored as (
        insert into usage_events (account_id, event_id, at, price_id, quantity, resource, batch)
        select account_id, event_id, at, price_id, quantity, resource, v_batch from judged j where j.reason is null
         order by account_id, event_id -- or the same batch sent twice at once would deadlock
        on conflict do nothing
        returning account_id, at, price_id, quantity, resource),
    grouped as (
        select account_id, date_trunc('month', at at time zone 'UTC')::date as period, price_id, coalesce(resource, '') as resource,
               count(*) as events, sum(quantity) as quantity
          from stored group by 1, 2, 3, 4),
    priced as (
        select g.*, g.quantity * p.picos_per_unit as picos from grouped g join prices p on p.id = g.price_id
         order by g.account_id, g.period, g.price_id, g.resource)
    select array_agg(account_id), array_agg(period), array_agg(price_id), array_agg(resource), array_agg(events), array_agg(quantity),
           array_agg(picos), coalesce(sum(events), 0),
           (select array_agg(j.place order by j.place) from judged j where j.reason is not null),
           (select array_agg(j.reason order by j.place) from judged j where j.reason is not null)
      into g_accounts, g_periods, g_prices, g_resources, g_events, g_quantities, g_picos, v_counted, v_places, v_reasons
      from priced;

    -- What is neither counted nor refused yet was stored before.
    if v_counted + coalesce(cardinality(v_places), 0) < cardinality(p_ids) then
        select array_agg(r.place order by r.place), array_agg(r.reason order by r.place) into v_places, v_reasons
          from (select e.place, coalesce(k.reason, 'duplicate') as reason
                  from unnest(p_accounts, p_ids) with ordinality as e (account_id, event_id, place)
                  left join unnest(v_places, v_reasons) as k (place, reason) on k.place = e.place
                 where k.reason is not null
                    or not (select coalesce(bool_or(u.batch = v_batch), false) from usage_events u
                             where u.account_id = e.account_id and u.event_id = e.event_id)) r;
    end if;
    if v_counted > 0 then
        if not p_careful then
            perform from balances where account_id = any(v_accounts) order by account_id for update;
            if exists (select from unnest(p_accounts, p_ids) as e (account_id, event_id)
                        where (select true from usage_events u
                                where u.account_id = e.account_id and u.event_id = e.event_id and (u.at < v_month or u.at >= v_next) limit 1)) then
                raise exception 'a report of this batch was counted in another month' using errcode = 'raise_exception', constraint = 'usage_needs_care';
            end if;
        end if;
        insert into usage_totals as t (account_id, invoice_period, period, price_id, resource, events, quantity, picos)
        select g.account_id, invoice_period(g.period, m.invoiced_through), g.period, g.price_id, g.resource, g.events, g.quantity, g.picos
          from unnest(g_accounts, g_periods, g_prices, g_resources, g_events, g_quantities, g_picos)
                 as g (account_id, period, price_id, resource, events, quantity, picos)
          left join usage_meters m on m.account_id = g.account_id
        on conflict (account_id, invoice_period, period, price_id, resource) do update
           set events = t.events + excluded.events, quantity = t.quantity + excluded.quantity, picos = t.picos + excluded.picos;
        perform usage_charge('usage', 'usage/' || v_batch, array_agg(c.account_id order by c.account_id), array_agg(c.picos order by c.account_id),
                             p_tiers, p_limits, p_at)
           from (select g.account_id, sum(g.picos) as picos from unnest(g_accounts, g_picos) as g (account_id, picos) group by g.account_id) c;
    end if;
    return query select * from unnest(v_places, v_reasons);
end
$$;

create or replace function deployments_advance(
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
        select s.account_id, s.period, s.deployment_id, s.price_id, s.seconds,
               div((s.seconds + t.seconds)::numeric * s.picos_per_unit, 60) - t.picos as picos
          from stretches s
         cross join lateral (
            select coalesce(sum(t.seconds), 0) as seconds, coalesce(sum(t.picos), 0) as picos from deployment_totals t
             where (t.account_id, t.period, t.deployment_id, t.price_id) = (s.account_id, s.period, s.deployment_id, s.price_id)) t),
    kept as (
        insert into deployment_totals as t (account_id, period, deployment_id, price_id, invoice_period, seconds, picos)
        select g.account_id, g.period, g.deployment_id, g.price_id, invoice_period(g.period, m.invoiced_through), g.seconds, g.picos
          from grown g left join usage_meters m on m.account_id = g.account_id
        on conflict (account_id, period, deployment_id, price_id, invoice_period) do update
           set seconds = t.seconds + excluded.seconds, picos = t.picos + excluded.picos),
    moved as (
        update deployments d set accrued_until = p_to from due where d.id = due.id
        returning d.id)
    select (select count(*) from moved), array_agg(c.account_id order by c.account_id), array_agg(c.picos order by c.account_id)
      into v_moved, v_accounts, v_picos
      from (select g.account_id, sum(g.picos) as picos from grown g group by g.account_id) c;
    if v_moved > 0 then
        perform usage_charge('deployments', 'deployments/' || nextval('deployment_steps'), v_accounts, v_picos, p_tiers, p_limits, p_at);
    end if;
    return v_moved;
end
$$;

create or replace function account_standings(p_accounts uuid[], p_tiers bigint[], p_limits bigint[])
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

-- The least that any SQL needs of a UUID of version 7: sorted by time.
-- +goose StatementBegin
create function uuid_v7(p_at timestamptz) returns uuid language sql volatile as $$
    select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
               placing substring(int8send(floor(extract(epoch from p_at) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid;
$$;

create function invoice_number(p_year integer, p_number bigint) returns text language sql immutable as $$
    select format('%s-%s', p_year, lpad(p_number::text, greatest(6, length(p_number::text)), '0'));
$$;
-- +goose StatementEnd

-- Whom an invoice is made out to; copied into the invoice when it is issued, which
-- no later change of the account then reaches (R45).
create view invoice_recipients as
    select a.id as account_id,
           jsonb_strip_nulls(jsonb_build_object(
               'name', a.name, 'organization', a.organization_name, 'email', coalesce(a.invoice_email, a.email), 'territory', a.territory,
               'details', a.business_details,
               'address', case when c.account_id is not null then jsonb_build_object(
                   'line1', c.line1, 'city', c.city, 'state', c.state, 'postal_code', c.postal_code, 'country', c.country) end,
               -- A tax number that support set stands in the place of the card's (R42).
               'tax_id', case when coalesce(a.tax_id_type, c.tax_id_type) is not null then jsonb_build_object(
                   'type', coalesce(a.tax_id_type, c.tax_id_type), 'value', case when a.tax_id_type is null then c.tax_id_value else a.tax_id_value end) end)) as bill_to
      from accounts a left join cards c on c.account_id = a.id;

-- An invoice of a month: what was used in it, what was owed from before, and what
-- paid: free credits, purchased ones, the card (due), and the next invoice (R3, R30).
drop trigger invoices_final on invoices;
alter table invoices drop constraint invoices_kind_check;
alter table invoices
    add column bill_to            jsonb,
    add column period             date check (extract(day from period) = 1),
    add column usage_micros       bigint check (usage_micros >= 0),
    add column carried_in_micros  bigint check (carried_in_micros >= 0),
    add column free_micros        bigint check (free_micros >= 0),
    add column purchased_micros   bigint check (purchased_micros >= 0),
    add column due_cents          bigint check (due_cents >= 0),
    add column carried_out_micros bigint check (carried_out_micros >= 0),
    add column paid_at            timestamptz,
    -- Why it is void or uncollectible.
    add column reason             text check (length(reason) between 1 and 2000),
    add column revision           bigint not null default 1,
    add constraint invoices_kind_check check (kind in ('purchase', 'monthly')),
    add constraint invoices_monthly_is_whole check (
        (kind = 'monthly') = (num_nonnulls(period, usage_micros, carried_in_micros, free_micros, purchased_micros, due_cents, carried_out_micros) = 7)
        and (kind <> 'monthly' or bill_to is not null and (status = 'paid') = (paid_at is not null))
        and (kind = 'monthly' or num_nulls(period, usage_micros, carried_in_micros, free_micros, purchased_micros, due_cents, carried_out_micros) = 7)),
    add constraint invoices_monthly_adds_up check (
        kind <> 'monthly' or total_micros = due_cents * 10000
                             and usage_micros + carried_in_micros = free_micros + purchased_micros + total_micros + carried_out_micros),
    add constraint invoices_nothing_due_is_paid check (kind <> 'monthly' or due_cents > 0 or status = 'paid'),
    add constraint invoices_end_says_why check ((status in ('void', 'uncollectible')) = (reason is not null));
create unique index invoices_one_a_month on invoices (account_id, period) where kind = 'monthly';
create index invoices_period on invoices (period, status) where kind = 'monthly';

-- What is final stays; the status moves by this table alone (R45).
-- +goose StatementBegin
create function invoices_only_move_on() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' or to_jsonb(new) - '{status,paid_at,reason,revision}'::text[] <> to_jsonb(old) - '{status,paid_at,reason,revision}'::text[] then
        raise exception 'invoice %: it is final; a correction is a credit note', old.number
            using errcode = 'restrict_violation', constraint = 'invoices_are_final';
    end if;
    if (old.status, new.status) not in (('open', 'past_due'), ('open', 'paid'), ('open', 'void'), ('open', 'uncollectible'),
                                        ('past_due', 'paid'), ('past_due', 'void'), ('past_due', 'uncollectible')) then
        raise exception 'invoice %: it is % and can''t become %', old.number, old.status, new.status
            using errcode = 'restrict_violation', constraint = 'invoices_only_move_on';
    end if;
    new.revision := old.revision + 1;
    return new;
end
$$;
-- +goose StatementEnd
create trigger invoices_only_move_on before update or delete on invoices
    for each row execute function invoices_only_move_on();

-- Deployments stand apart from usage, and what was created once after both (R47).
create type invoice_section as enum ('usage', 'deployment', 'creation');

-- What an invoice is for, by SKU and resource; written before the invoice, by the
-- same transaction, and never again.
create table invoice_lines (
    invoice_id    uuid            not null,
    line          integer         not null,
    section       invoice_section not null,
    sku           text            not null,
    unit          text            not null,
    resource      text            not null,
    name          text            not null,
    -- The month of the use: an earlier one than the invoice's where it was told late.
    period        date            not null,
    events        bigint          not null,
    quantity      numeric         not null,
    amount_micros bigint          not null check (amount_micros >= 0),
    primary key (invoice_id, line)
);
create trigger invoice_lines_append_only before update or delete on invoice_lines
    for each row execute function refuse_change();
create trigger invoice_lines_never_emptied before truncate on invoice_lines
    for each statement execute function refuse_change();

-- +goose StatementBegin
create function invoice_lines_come_first() returns trigger language plpgsql as $$
begin
    if exists (select from written group by invoice_id having min(line) <> 1 or max(line) <> count(*)) then
        raise exception 'the lines of an invoice are written whole, from 1 on'
            using errcode = 'check_violation', constraint = 'invoice_lines_written_whole';
    end if;
    if exists (select from invoices i where i.id in (select invoice_id from written)) then
        raise exception 'an invoice gets no lines once it is issued'
            using errcode = 'restrict_violation', constraint = 'invoices_are_final';
    end if;
    return null;
end
$$;

create function invoice_lines_have_invoice() returns trigger language plpgsql as $$
begin
    if not exists (select from invoices where id = new.invoice_id and kind = 'monthly') then
        raise exception 'lines of invoice %, which there is not', new.invoice_id
            using errcode = 'foreign_key_violation', constraint = 'invoice_lines_have_invoice';
    end if;
    return null;
end
$$;

-- An invoice is issued when its lines and its posting are there: the lines sum to
-- its usage, and what it demands is what the ledger has as invoiced.
create function invoices_are_covered() returns trigger language plpgsql as $$
begin
    if (select sum(amount_micros) from invoice_lines where invoice_id = new.id) is distinct from new.usage_micros then
        raise exception 'invoice %: its lines do not sum to its usage', new.number
            using errcode = 'check_violation', constraint = 'invoices_lines_sum_to_usage';
    end if;
    if new.due_cents > 0 and (new.status <> 'open' or not exists (
            select from ledger_transactions where idempotency_key = 'invoice/' || new.id and kind = 'invoice' and account_id = new.account_id)) then
        raise exception 'invoice %: it demands what the ledger has not invoiced', new.number
            using errcode = 'check_violation', constraint = 'invoices_are_in_the_ledger';
    end if;
    return null;
end
$$;

-- An invoice that has ended was posted so, and a voided one has its credit note.
create function invoices_end_is_covered() returns trigger language plpgsql as $$
begin
    if not exists (select from ledger_transactions t
                    where t.idempotency_key = case new.status when 'paid' then 'invoice_payment/' when 'void' then 'invoice_void/' else 'invoice_loss/' end || new.id)
       or new.status = 'void' and not exists (select from credit_notes where invoice_id = new.id and amount_micros = new.total_micros) then
        raise exception 'invoice %: it is % and the books do not say so', new.number, new.status
            using errcode = 'check_violation', constraint = 'invoices_are_in_the_ledger';
    end if;
    return null;
end
$$;

-- And what is posted of an invoice is that invoice's, in that amount.
create function invoice_posting_is_covered() returns trigger language plpgsql as $$
begin
    if not exists (
        select from invoices i
         where new.idempotency_key = new.kind || '/' || i.id and i.id = substring(new.idempotency_key from '/([0-9a-f-]{36})$')::uuid
           and i.kind = 'monthly' and i.account_id = new.account_id
           and case new.kind when 'invoice_payment' then i.status = 'paid' when 'invoice_void' then i.status = 'void'
                             when 'invoice_loss' then i.status = 'uncollectible' else true end
           and (select count(*) = 2 and bool_and((e.book::text, e.amount_micros) in (
                       (case new.kind when 'invoice' then 'accrued' when 'invoice_payment' then 'payments'
                                      when 'invoice_void' then 'revenue' else 'losses' end,
                        case when new.kind = 'invoice' then i.total_micros else -i.total_micros end),
                       ('invoiced', case when new.kind = 'invoice' then -i.total_micros else i.total_micros end)))
                  from ledger_entries e where e.transaction_id = new.id)) then
        raise exception 'ledger transaction %: not what an invoice says', new.id
            using errcode = 'check_violation', constraint = 'ledger_invoices_are_covered';
    end if;
    return null;
end
$$;
-- +goose StatementEnd

create trigger invoice_lines_come_first after insert on invoice_lines
    referencing new table as written
    for each statement execute function invoice_lines_come_first();
create constraint trigger invoice_lines_have_invoice after insert on invoice_lines
    deferrable initially deferred
    for each row when (new.line = 1) execute function invoice_lines_have_invoice();
create trigger invoices_are_covered after insert on invoices
    for each row when (new.kind = 'monthly') execute function invoices_are_covered();
create constraint trigger invoices_end_is_covered after update on invoices
    deferrable initially deferred
    for each row when (new.status in ('paid', 'void', 'uncollectible')) execute function invoices_end_is_covered();
create constraint trigger invoice_posting_is_covered after insert on ledger_transactions
    deferrable initially deferred
    for each row when (new.kind in ('invoice', 'invoice_payment', 'invoice_void', 'invoice_loss')) execute function invoice_posting_is_covered();

-- What takes an invoice back (R45): the whole of it, with a number of a series of
-- their own, without gaps like that of the invoices.
create table credit_note_numbers (
    year integer primary key,
    last bigint not null
);
create table credit_notes (
    id            uuid primary key,
    number        text        not null unique,
    account_id    uuid        not null references accounts,
    invoice_id    uuid        not null unique references invoices,
    amount_micros bigint      not null check (amount_micros > 0),
    reason        text        not null check (length(reason) between 1 and 2000),
    issued_at     timestamptz not null
);
create trigger credit_notes_final before update or delete on credit_notes
    for each row execute function refuse_change();
create trigger credit_notes_never_emptied before truncate on credit_notes
    for each statement execute function refuse_change();

-- +goose StatementBegin
create or replace function purchase_issue_invoice(p_purchase uuid, p_invoice uuid, p_at timestamptz) returns uuid language plpgsql as $$
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
    insert into invoices (id, number, account_id, kind, purchase_id, description, total_micros, status, issued_at, bill_to)
    select p_invoice, invoice_number(y, n), p.account_id, 'purchase', p.id, 'Credit purchase', p.captured_cents * 10000, 'paid', p_at, b.bill_to
      from invoice_recipients b where b.account_id = p.account_id;
    update purchases set invoice_id = p_invoice, invoice_ended_at = p_at where id = p.id;
    return p_invoice;
end
$$;

-- Moves an unpaid invoice on: past_due, paid (R32), void with a credit note, or
-- uncollectible; the ledger and the entitlement follow. Says whether it moved: one
-- that is so already stays, one that has ended otherwise is refused.
create function invoice_settle(
    p_invoice uuid, p_status text, p_reason text, p_tiers bigint[], p_limits bigint[], p_at timestamptz
) returns boolean language plpgsql as $$
declare
    i invoices;
    y integer := extract(year from p_at at time zone 'UTC');
    n bigint;
    k text := case p_status when 'paid' then 'invoice_payment' when 'void' then 'invoice_void' when 'uncollectible' then 'invoice_loss' end;
begin
    select * into strict i from invoices where id = p_invoice;
    perform from balances where account_id = i.account_id for update;
    select * into strict i from invoices where id = p_invoice for update;
    if i.status = p_status then
        return false;
    end if;
    update invoices set status = p_status, paid_at = case when p_status = 'paid' then p_at end, reason = p_reason where id = p_invoice;
    if p_status = 'void' then
        insert into credit_note_numbers as c (year, last) values (y, 1)
        on conflict (year) do update set last = c.last + 1
        returning last into n;
        insert into credit_notes (id, number, account_id, invoice_id, amount_micros, reason, issued_at)
        values (uuid_v7(p_at), 'CN-' || invoice_number(y, n), i.account_id, i.id, i.total_micros, p_reason, p_at);
    end if;
    if k is not null then
        perform ledger_post(k || '/' || i.id, k, i.account_id, p_at,
                            array[case p_status when 'paid' then 'payments' when 'void' then 'revenue' else 'losses' end, 'invoiced']::ledger_book[],
                            array[-i.total_micros, i.total_micros]);
    end if;
    perform entitlements_settle(array[i.account_id], p_tiers, p_limits, p_at);
    return true;
end
$$;
-- +goose StatementEnd

-- Invoices that nobody was told of yet. A closing issues more at once than the outbox
-- is for, so they are brought there a few at a time.
create table invoices_to_mail (
    invoice_id uuid primary key
);

-- What monthly_invoice works out for one account.
create type monthly_bill as (
    account_id uuid, invoice_id uuid, usage_micros bigint, remainder_picos integer, carried_in_micros bigint,
    free_micros bigint, purchased_micros bigint, due_cents bigint, carried_out_micros bigint
);

-- Invoices a month for those of the accounts that have used something on it and are
-- not invoiced through it: freezes it for them, and issues their invoices (R30, R31).
-- p_least is what a charge must reach, in cents (R3). Whatever pays or uses waits
-- meanwhile for the balances, so that it comes wholly before or wholly after (I8).
-- The accounts' earlier months are invoiced.
-- +goose StatementBegin
create function monthly_invoice(
    p_period date, p_accounts uuid[], p_least bigint, p_tiers bigint[], p_limits bigint[], p_at timestamptz,
    out invoices bigint, out owing bigint, out usage_micros bigint, out due_micros bigint
) language plpgsql set enable_seqscan = off set jit = off set plan_cache_mode = force_custom_plan as $$
declare
    v_end         timestamptz := (p_period + interval '1 month') at time zone 'UTC';
    v_year        integer := extract(year from p_at at time zone 'UTC');
    v_deployments uuid[];
    v_accounts    uuid[];
    v_invoices    uuid[];
    v_picos       numeric[];
    v_bills       monthly_bill[];
    v_last        bigint;
begin
    if v_end > least(p_at, clock_timestamp()) then
        raise exception 'the month of % is not over', p_period using errcode = 'check_violation', constraint = 'monthly_period_is_over';
    end if;
    perform from balances b where b.account_id = any(p_accounts) order by b.account_id for update;
    -- What ran to the end of the month is on its invoice, whoever was late to charge it.
    select array_agg(d.id) into v_deployments
      from deployments d where d.account_id = any(p_accounts) and d.stopped_at is null and d.accrued_until < v_end;
    if v_deployments is not null then
        perform deployments_advance(v_deployments, v_end, p_tiers, p_limits, p_at);
    end if;

    with due as materialized (
        select m.account_id, m.invoiced_through, m.invoiced_remainder_picos as remainder, uuid_v7(p_at) as invoice_id
          from usage_meters m where m.account_id = any(p_accounts) and coalesce(m.invoiced_through < p_period, true)),
    used as (
        select d.account_id, 'usage'::invoice_section as section, t.price_id, t.resource, '' as name, t.period, t.events, t.quantity, t.picos
          from due d
          join usage_totals t on t.account_id = d.account_id and t.invoice_period > coalesce(d.invoiced_through, '-infinity') and t.invoice_period <= p_period
        union all
        select d.account_id, 'deployment', t.price_id, t.deployment_id::text, c.name, t.period, 0, t.seconds, t.picos
          from due d
          join deployment_totals t on t.account_id = d.account_id and t.invoice_period > coalesce(d.invoiced_through, '-infinity') and t.invoice_period <= p_period
          join creations c on c.id = t.deployment_id
        union all
        select d.account_id, 'creation', c.price_id, c.id::text, c.name, date_trunc('month', c.created_at at time zone 'UTC')::date, 1, 1, p.picos_per_unit
          from due d
          join creations c on c.account_id = d.account_id and c.invoice_period > coalesce(d.invoiced_through, '-infinity') and c.invoice_period <= p_period
          join prices p on p.id = c.price_id),
    summed as (
        select u.account_id, u.section, p.sku collate "C" as sku, case u.section when 'deployment' then 'second' else p.unit end as unit,
               u.resource collate "C" as resource, u.name, u.period,
               sum(u.events)::bigint as events, sum(u.quantity) as quantity, sum(u.picos) as picos
          from used u join prices p on p.id = u.price_id
         group by 1, 2, 3, 4, 5, 6, 7),
    lines as materialized (
        select s.*, d.invoice_id, row_number() over line as line,
               (div(d.remainder + sum(s.picos) over line, 1000000) - div(d.remainder + sum(s.picos) over line - s.picos, 1000000))::bigint as micros
          from summed s join due d on d.account_id = s.account_id
        window line as (partition by s.account_id order by s.section, s.sku, s.resource, s.name, s.unit, s.period rows unbounded preceding)),
    written as (
        insert into invoice_lines (invoice_id, line, section, sku, unit, resource, name, period, events, quantity, amount_micros)
        select l.invoice_id, l.line, l.section, l.sku, l.unit, l.resource, l.name, l.period, l.events, l.quantity, l.micros from lines l)
    select array_agg(a.account_id), array_agg(a.invoice_id), array_agg(a.picos) into v_accounts, v_invoices, v_picos
      from (select l.account_id, l.invoice_id, sum(l.picos) as picos from lines l group by 1, 2) a;

    -- Of what is accrued, what later months used is theirs: credits pay the oldest
    -- first (R9), the free ones before the purchased ones (R5).
    select array_agg(row(o.account_id, o.invoice_id, o.used, o.remainder, o.carried, least(o.credits, o.free), o.credits - least(o.credits, o.free),
                         o.cents, o.owed - o.cents * 10000)::monthly_bill order by o.account_id),
           count(*), count(*) filter (where o.cents > 0), coalesce(sum(o.used), 0)::bigint, coalesce(sum(o.cents), 0)::bigint * 10000
      into v_bills, invoices, owing, usage_micros, due_micros
      from (select u.*, w.owed, case when w.owed / 10000 >= p_least then w.owed / 10000 else 0 end as cents, u.used + u.carried - w.owed as credits
              from (select a.account_id, a.invoice_id, div(m.invoiced_remainder_picos + a.picos, 1000000)::bigint as used,
                           mod(m.invoiced_remainder_picos + a.picos, 1000000)::integer as remainder, m.carried_micros as carried,
                           m.used_micros - m.invoiced_micros as not_invoiced, m.free_used_micros - m.free_invoiced_micros as free, b.accrued_micros
                      from unnest(v_accounts, v_invoices, v_picos) as a (account_id, invoice_id, picos)
                      join usage_meters m on m.account_id = a.account_id
                      join balances b on b.account_id = a.account_id) u
             cross join lateral (select greatest(0, u.accrued_micros - (u.not_invoiced - u.used)) as owed) w) o;
    if invoices = 0 then
        return;
    end if;

    update usage_meters m
       set invoiced_through          = p_period,
           invoiced_micros           = m.invoiced_micros + b.usage_micros,
           invoiced_remainder_picos  = b.remainder_picos,
           free_invoiced_micros      = m.free_invoiced_micros + b.free_micros,
           purchased_invoiced_micros = m.purchased_invoiced_micros + b.purchased_micros,
           carried_micros            = b.carried_out_micros
      from unnest(v_bills) b
     where m.account_id = b.account_id;
    if owing > 0 then
        with posted as (
            insert into ledger_transactions (idempotency_key, kind, account_id, occurred_at)
            select 'invoice/' || b.invoice_id, 'invoice', b.account_id, p_at from unnest(v_bills) b where b.due_cents > 0
            returning id, account_id)
        insert into ledger_entries (transaction_id, line, account_id, book, amount_micros)
        select p.id, e.line, p.account_id, e.book::ledger_book, e.amount
          from posted p join unnest(v_bills) b on b.account_id = p.account_id
         cross join lateral (values (1, 'accrued', b.due_cents * 10000), (2, 'invoiced', b.due_cents * -10000)) as e (line, book, amount);
    end if;

    insert into invoices_to_mail (invoice_id) select b.invoice_id from unnest(v_bills) b;

    -- The numbers last: whoever else issues an invoice waits for them from here to
    -- the commit.
    insert into invoice_numbers as n (year, last) values (v_year, invoices)
    on conflict (year) do update set last = n.last + excluded.last
    returning last into v_last;
    insert into invoices (id, number, account_id, kind, description, total_micros, status, issued_at, bill_to, period, usage_micros, carried_in_micros,
                          free_micros, purchased_micros, due_cents, carried_out_micros, paid_at)
    select b.invoice_id, invoice_number(v_year, v_last - monthly_invoice.invoices + b.place), b.account_id, 'monthly', 'Usage in ' || to_char(p_period, 'FMMonth YYYY'),
           b.due_cents * 10000, case when b.due_cents > 0 then 'open' else 'paid' end, p_at, r.bill_to, p_period, b.usage_micros, b.carried_in_micros,
           b.free_micros, b.purchased_micros, b.due_cents, b.carried_out_micros, case when b.due_cents = 0 then p_at end
      from unnest(v_bills) with ordinality as b (account_id, invoice_id, usage_micros, remainder_picos, carried_in_micros,
                                                 free_micros, purchased_micros, due_cents, carried_out_micros, place)
      join invoice_recipients r on r.account_id = b.account_id;
end
$$;
-- +goose StatementEnd

-- Closing a month over all accounts (R29): planned once as pages of accounts, each
-- closed by one transaction, so that a run that died goes on at the page where it
-- died. A round more goes over the accounts again, for what was reported late.
create table monthly_closes (
    period     date primary key check (extract(day from period) = 1),
    round      integer     not null,
    accounts   bigint      not null,
    pages      integer     not null,
    started_at timestamptz not null,
    closed_at  timestamptz
);
create table monthly_close_pages (
    period       date    not null references monthly_closes,
    round        integer not null,
    page         integer not null,
    -- From here up to the next page's; null is without end.
    from_account uuid    not null,
    to_account   uuid,
    accounts     bigint,
    invoices     bigint,
    owing        bigint,
    usage_micros bigint,
    due_micros   bigint,
    closed_at    timestamptz,
    primary key (period, round, page)
);
create index monthly_close_pages_open on monthly_close_pages (period, round, page) where closed_at is null;

-- The one row over all months: held back, the schedule and the sweep close nothing.
create table monthly_control (
    one_row boolean primary key default true check (one_row),
    held    boolean not null default false
);
insert into monthly_control default values;

create index accounts_created on accounts (created_at);

-- The months up to p_until that are not closed, oldest first: from that of the first
-- account on.
-- +goose StatementBegin
create function monthly_open_periods(p_until date) returns setof date language sql stable as $$
    select m::date
      from generate_series((select date_trunc('month', min(created_at) at time zone 'UTC') from accounts), p_until, interval '1 month') m
     where not exists (select from monthly_closes c where c.period = m::date and c.closed_at is not null)
     order by 1;
$$;

-- Plans the closing of a month, once, or with p_again one more round when the one
-- before is done. Months are closed in their order, each when it is over by the
-- caller's clock and by the database's (F24).
create function monthly_close_begin(p_period date, p_again boolean, p_page bigint, p_at timestamptz) returns monthly_closes language plpgsql as $$
declare
    c monthly_closes;
begin
    if (p_period + interval '1 month') at time zone 'UTC' > least(p_at, clock_timestamp()) then
        raise exception 'the month of % is not over', p_period using errcode = 'check_violation', constraint = 'monthly_period_is_over';
    end if;
    if exists (select from monthly_open_periods((p_period - interval '1 month')::date)) then
        raise exception 'a month before % is not closed', p_period using errcode = 'check_violation', constraint = 'monthly_periods_in_order';
    end if;
    insert into monthly_closes (period, round, accounts, pages, started_at) values (p_period, 0, 0, 0, p_at)
    on conflict (period) do nothing;
    select * into strict c from monthly_closes where period = p_period for update;
    if c.round > 0 and not (p_again and c.closed_at is not null) then
        return c;
    end if;
    insert into monthly_close_pages (period, round, page, from_account, to_account)
    select p_period, c.round + 1, row_number() over (order by p.account_id) - 1, p.account_id, lead(p.account_id) over (order by p.account_id)
      from (select '00000000-0000-0000-0000-000000000000'::uuid as account_id
            union
            select m.account_id
              from (select account_id, row_number() over (order by account_id) as place from usage_meters) m
             where m.place > 1 and mod(m.place - 1, p_page) = 0) p;
    update monthly_closes
       set round = c.round + 1, accounts = (select count(*) from usage_meters), closed_at = null,
           started_at = p_at, pages = (select count(*) from monthly_close_pages where period = p_period and round = c.round + 1)
     where period = p_period
    returning * into c;
    return c;
end
$$;

-- Closes one page, once: a repeat, or another run of the same month, answers what
-- the first did.
create function monthly_close_page(
    p_period date, p_round integer, p_page integer, p_least bigint, p_tiers bigint[], p_limits bigint[], p_at timestamptz
) returns monthly_close_pages language plpgsql as $$
declare
    p monthly_close_pages;
    v_accounts uuid[];
begin
    select * into strict p from monthly_close_pages where period = p_period and round = p_round and page = p_page for update;
    if p.closed_at is not null then
        return p;
    end if;
    select coalesce(array_agg(m.account_id order by m.account_id), '{}') into v_accounts
      from usage_meters m where m.account_id >= p.from_account and (p.to_account is null or m.account_id < p.to_account);
    update monthly_close_pages u
       set accounts = cardinality(v_accounts), invoices = i.invoices, owing = i.owing, usage_micros = i.usage_micros, due_micros = i.due_micros, closed_at = p_at
      from monthly_invoice(p_period, v_accounts, p_least, p_tiers, p_limits, p_at) i
     where u.period = p_period and u.round = p_round and u.page = p_page
    returning u.* into p;
    return p;
end
$$;

-- Ends the closing of a month when all of its pages are closed, and says whether it
-- has ended.
create function monthly_close_finish(p_period date, p_at timestamptz) returns boolean language plpgsql as $$
declare
    c monthly_closes;
begin
    select * into strict c from monthly_closes where period = p_period for update;
    if c.closed_at is null and not exists (select from monthly_close_pages where period = p_period and round = c.round and closed_at is null) then
        update monthly_closes set closed_at = p_at where period = p_period;
        return true;
    end if;
    return c.closed_at is not null;
end
$$;

-- Invoices one account alone through p_period, each month that it lacks on an invoice
-- of its own. Says how many invoices that made.
create function monthly_close_account(
    p_account uuid, p_period date, p_least bigint, p_tiers bigint[], p_limits bigint[], p_at timestamptz
) returns bigint language plpgsql as $$
declare
    v_month date;
    v_made  bigint := 0;
    v_first date;
begin
    perform from balances where account_id = p_account for update;
    select least((select min(invoice_period) from usage_totals t
                   where t.account_id = p_account and t.invoice_period > coalesce(m.invoiced_through, '-infinity')),
                 (select min(invoice_period) from deployment_totals t
                   where t.account_id = p_account and t.invoice_period > coalesce(m.invoiced_through, '-infinity')),
                 (select min(invoice_period) from creations t
                   where t.account_id = p_account and t.invoice_period > coalesce(m.invoiced_through, '-infinity')),
                 p_period)
      into v_first
      from usage_meters m where m.account_id = p_account;
    for v_month in select m::date from generate_series(coalesce(v_first, p_period)::timestamp, p_period, interval '1 month') m loop
        select v_made + i.invoices into v_made
          from monthly_invoice(v_month, array[p_account], p_least, p_tiers, p_limits, p_at) i;
    end loop;
    return v_made;
end
$$;
-- +goose StatementEnd

-- +goose Down
drop function monthly_close_account(uuid, date, bigint, bigint[], bigint[], timestamptz),
    monthly_close_finish(date, timestamptz),
    monthly_close_page(date, integer, integer, bigint, bigint[], bigint[], timestamptz),
    monthly_close_begin(date, boolean, bigint, timestamptz),
    monthly_open_periods(date);
drop index accounts_created;
drop table monthly_control, monthly_close_pages, monthly_closes;
drop function monthly_invoice(date, uuid[], bigint, bigint[], bigint[], timestamptz);
drop type monthly_bill;
drop table invoices_to_mail;
drop function invoice_settle(uuid, text, text, bigint[], bigint[], timestamptz);
-- +goose StatementBegin
create or replace function purchase_issue_invoice(p_purchase uuid, p_invoice uuid, p_at timestamptz) returns uuid language plpgsql as $$
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
drop trigger invoice_posting_is_covered on ledger_transactions;
drop trigger invoices_end_is_covered on invoices;
drop trigger invoices_are_covered on invoices;
drop table credit_notes, credit_note_numbers, invoice_lines;
drop function invoice_posting_is_covered(), invoices_end_is_covered(), invoices_are_covered(), invoice_lines_have_invoice(), invoice_lines_come_first();
drop type invoice_section;
drop trigger invoices_only_move_on on invoices;
drop function invoices_only_move_on();
drop index invoices_period, invoices_one_a_month;
alter table invoices
    drop constraint invoices_end_says_why,
    drop constraint invoices_nothing_due_is_paid,
    drop constraint invoices_monthly_adds_up,
    drop constraint invoices_monthly_is_whole,
    drop constraint invoices_kind_check,
    drop column revision,
    drop column reason,
    drop column paid_at,
    drop column carried_out_micros,
    drop column due_cents,
    drop column purchased_micros,
    drop column free_micros,
    drop column carried_in_micros,
    drop column usage_micros,
    drop column period,
    drop column bill_to;
alter table invoices add constraint invoices_kind_check check (kind in ('purchase'));
create trigger invoices_final before update or delete on invoices
    for each row execute function refuse_change();
drop view invoice_recipients;
drop function invoice_number(integer, bigint), uuid_v7(timestamptz);
-- +goose StatementBegin
create or replace function account_standings(p_accounts uuid[], p_tiers bigint[], p_limits bigint[])
returns table (account_id uuid, tier integer, credits_micros bigint, exposure_micros bigint, limit_micros bigint, admitted boolean)
language sql stable as $$
    select s.account_id, s.tier, s.credits, s.exposure, s.allowed,
           s.tier > 0 and not s.suspended and (s.credits > 0 or s.exposure < s.allowed)
      from (select e.account_id, e.suspended, r.tier, b.free_micros + b.purchased_micros as credits,
                   b.accrued_micros + coalesce((select sum(i.total_micros) from invoices i
                                                 where i.account_id = e.account_id and i.status in ('open', 'past_due')), 0)::bigint as exposure,
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

create or replace function deployments_advance(
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

create or replace function usage_record(
    p_accounts uuid[], p_ids text[], p_ats timestamptz[], p_prices integer[], p_quantities bigint[], p_resources text[],
    p_known integer, p_careful boolean, p_tiers bigint[], p_limits bigint[], p_at timestamptz
) returns table (place bigint, reason text) language plpgsql as $$
declare
    v_batch    bigint := nextval('usage_batches');
    v_month    timestamptz;
    v_next     timestamptz;
    v_counted  bigint;
    v_accounts uuid[];
    v_places   bigint[];
    v_reasons  text[];
    -- The counted reports by account, month, price and resource.
    g_accounts uuid[];
    g_periods  date[];
    g_prices   integer[];
    g_resources text[];
    g_events   bigint[];
    g_quantities numeric[];
    g_picos    numeric[];
begin
    if p_known is distinct from (select max(id) from prices) then
        raise exception 'there are newer prices than %', p_known using errcode = 'raise_exception', constraint = 'usage_prices_are_newest';
    end if;
    select array_agg(distinct a.id order by a.id) into v_accounts from unnest(p_accounts) a (id);
    select date_trunc('month', min(t.at) at time zone 'UTC') at time zone 'UTC' into v_month from unnest(p_ats) t (at);
    v_next := (v_month at time zone 'UTC' + interval '1 month') at time zone 'UTC';
    if not p_careful and exists (select from unnest(p_ats) t (at) where t.at >= v_next) then
        p_careful := true;
    end if;
    if p_careful then
        perform from balances where account_id = any(v_accounts) order by account_id for update;
    end if;

    with judged as materialized (
        select e.*, case
                 when s.account_id is null then 'unknown_account'
                 when p_careful and (select true from usage_events u where u.account_id = e.account_id and u.event_id = e.event_id limit 1) then 'duplicate'
                 when e.at >= s.blocked_since then case when s.suspended then 'suspended' when s.tier = 0 then 'limited_tier' else 'limit_reached' end
               end as reason
          from unnest(p_accounts, p_ids, p_ats, p_prices, p_quantities, p_resources)
                 with ordinality as e (account_id, event_id, at, price_id, quantity, resource, place)
          left join entitlements s on s.account_id = e.account_id),
    stored as (
        insert into usage_events (account_id, event_id, at, price_id, quantity, resource, batch)
        select account_id, event_id, at, price_id, quantity, resource, v_batch from judged j where j.reason is null
         order by account_id, event_id -- or the same batch sent twice at once would deadlock
        on conflict do nothing
        returning account_id, at, price_id, quantity, resource),
    grouped as (
        select account_id, date_trunc('month', at at time zone 'UTC')::date as period, price_id, coalesce(resource, '') as resource,
               count(*) as events, sum(quantity) as quantity
          from stored group by 1, 2, 3, 4),
    priced as (
        select g.*, g.quantity * p.picos_per_unit as picos from grouped g join prices p on p.id = g.price_id
         order by g.account_id, g.period, g.price_id, g.resource)
    select array_agg(account_id), array_agg(period), array_agg(price_id), array_agg(resource), array_agg(events), array_agg(quantity),
           array_agg(picos), coalesce(sum(events), 0),
           (select array_agg(j.place order by j.place) from judged j where j.reason is not null),
           (select array_agg(j.reason order by j.place) from judged j where j.reason is not null)
      into g_accounts, g_periods, g_prices, g_resources, g_events, g_quantities, g_picos, v_counted, v_places, v_reasons
      from priced;

    -- What is neither counted nor refused yet was stored before.
    if v_counted + coalesce(cardinality(v_places), 0) < cardinality(p_ids) then
        select array_agg(r.place order by r.place), array_agg(r.reason order by r.place) into v_places, v_reasons
          from (select e.place, coalesce(k.reason, 'duplicate') as reason
                  from unnest(p_accounts, p_ids) with ordinality as e (account_id, event_id, place)
                  left join unnest(v_places, v_reasons) as k (place, reason) on k.place = e.place
                 where k.reason is not null
                    or not (select coalesce(bool_or(u.batch = v_batch), false) from usage_events u
                             where u.account_id = e.account_id and u.event_id = e.event_id)) r;
    end if;
    if v_counted > 0 then
        if not p_careful then
            perform from balances where account_id = any(v_accounts) order by account_id for update;
            if exists (select from unnest(p_accounts, p_ids) as e (account_id, event_id)
                        where (select true from usage_events u
                                where u.account_id = e.account_id and u.event_id = e.event_id and (u.at < v_month or u.at >= v_next) limit 1)) then
                raise exception 'a report of this batch was counted in another month' using errcode = 'raise_exception', constraint = 'usage_needs_care';
            end if;
        end if;
        insert into usage_totals as t (account_id, period, price_id, resource, events, quantity, picos)
        select * from unnest(g_accounts, g_periods, g_prices, g_resources, g_events, g_quantities, g_picos)
        on conflict (account_id, period, price_id, resource) do update
           set events = t.events + excluded.events, quantity = t.quantity + excluded.quantity, picos = t.picos + excluded.picos;
        perform usage_charge('usage', 'usage/' || v_batch, array_agg(c.account_id order by c.account_id), array_agg(c.picos order by c.account_id),
                             p_tiers, p_limits, p_at)
           from (select g.account_id, sum(g.picos) as picos from unnest(g_accounts, g_picos) as g (account_id, picos) group by g.account_id) c;
    end if;
    return query select * from unnest(v_places, v_reasons);
end
$$;

create or replace function usage_charge(
    p_kind text, p_key text, p_accounts uuid[], p_picos numeric[], p_tiers bigint[], p_limits bigint[], p_at timestamptz
) returns void language plpgsql as $$
begin
    with due as materialized (
        select c.account_id, c.picos + coalesce(m.remainder_picos, 0) as picos, b.free_micros, b.purchased_micros
          from unnest(p_accounts, p_picos) as c (account_id, picos)
          join balances b on b.account_id = c.account_id
          left join usage_meters m on m.account_id = c.account_id),
    whole as (
        select account_id, div(picos, 1000000)::bigint as micros, mod(picos, 1000000)::integer as remainder, free_micros, purchased_micros from due),
    shared as materialized (
        select account_id, micros, remainder, least(micros, free_micros) as free,
               least(micros - least(micros, free_micros), purchased_micros) as purchased from whole),
    metered as (
        insert into usage_meters as m (account_id, remainder_picos) select account_id, remainder from shared
        on conflict (account_id) do update set remainder_picos = excluded.remainder_picos),
    posted as (
        insert into ledger_transactions (idempotency_key, kind, account_id, occurred_at)
        select p_key || '/' || account_id, p_kind, account_id, p_at from shared where micros > 0
        returning id, account_id),
    parts as (
        select t.account_id, t.book, t.grant_id, -t.taken as amount
          from (select array_agg(account_id) as accounts, array_agg(book) as books, array_agg(amount) as amounts
                  from (select account_id, 'free'::ledger_book as book, free as amount from shared
                        union all select account_id, 'purchased', purchased from shared) a) wanted,
               credit_takes(wanted.accounts, wanted.books, wanted.amounts) t
        union all
        select account_id, 'accrued', null, free + purchased - micros from shared where micros > free + purchased
        union all
        select account_id, 'revenue', null, micros from shared where micros > 0)
    insert into ledger_entries (transaction_id, line, account_id, book, amount_micros, grant_id)
    select p.id, row_number() over (partition by e.account_id order by e.book, e.grant_id), e.account_id, e.book, e.amount, e.grant_id
      from parts e join posted p on p.account_id = e.account_id;

    perform entitlements_settle(p_accounts, p_tiers, p_limits, p_at);
end
$$;
-- +goose StatementEnd
drop trigger creations_set_invoice_period on creations;
drop function creations_set_invoice_period();
drop index creations_invoiced;
alter table creations drop column invoice_period;
drop index deployment_totals_invoiced;
alter table deployment_totals
    drop constraint deployment_totals_pkey,
    drop column invoice_period,
    add primary key (account_id, period, deployment_id, price_id);
alter table usage_totals
    drop constraint usage_totals_pkey,
    drop column invoice_period,
    add primary key (account_id, period, price_id, resource);
drop function invoice_period(date, date), free_credits_grant(text, uuid, bigint, bigint[], bigint[], timestamptz);
-- +goose StatementBegin
create or replace function purchase_credit(
    p_purchase uuid, p_tiers bigint[], p_limits bigint[], p_at timestamptz, out entitlement_version bigint, out tier_changed boolean
) language plpgsql as $$
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
    select s.version, s.changed into entitlement_version, tier_changed
      from entitlements_settle(array[p.account_id], p_tiers, p_limits, p_at) s;
    if not tier_changed then
        entitlement_version := 0;
    end if;
    update purchases u set balance_ended_at = p_at, entitlement_version = purchase_credit.entitlement_version where u.id = p.id;
end
$$;
-- +goose StatementEnd
drop trigger balances_credits_clear_accrued on balances;
drop function balances_credits_clear_accrued(), accrued_settle(uuid, text, timestamptz);
alter table usage_meters
    drop constraint usage_meters_invoice_what_was_used,
    drop column carried_micros,
    drop column purchased_invoiced_micros,
    drop column free_invoiced_micros,
    drop column invoiced_remainder_picos,
    drop column invoiced_micros,
    drop column invoiced_through,
    drop column purchased_used_micros,
    drop column free_used_micros,
    drop column used_micros;
-- +goose StatementBegin
create or replace function ledger_entries_follow() returns trigger language plpgsql as $$
declare
    broken bigint;
    excess numeric;
begin
    -- A transaction is written whole, by one statement: there is one line 1, so
    -- entries that are added later come without it.
    select transaction_id, sum(amount_micros) into broken, excess
      from written
     group by transaction_id
    having sum(amount_micros) <> 0 or min(line) <> 1
     limit 1;
    if found and excess <> 0 then
        raise exception 'ledger transaction % does not balance', broken
            using errcode = 'check_violation', constraint = 'ledger_transactions_balance';
    elsif found then
        raise exception 'ledger transaction %: entries do not begin at line 1, or were added later', broken
            using errcode = 'check_violation', constraint = 'ledger_transactions_written_whole';
    end if;
    -- I4: what counts to a tier is money that was captured.
    if exists (select from written w join ledger_transactions t on t.id = w.transaction_id
                where w.book = 'payments' and t.kind <> 'purchase') then
        raise exception 'only a purchase takes from the book payments'
            using errcode = 'check_violation', constraint = 'ledger_payments_are_captured';
    end if;

    update balances b
       set free_micros           = b.free_micros + w.free,
           purchased_micros      = b.purchased_micros + w.purchased,
           accrued_micros        = b.accrued_micros - w.accrued,
           lifetime_spend_micros = b.lifetime_spend_micros - w.payments
      from (select account_id,
                   coalesce(sum(amount_micros) filter (where book = 'free'), 0)      as free,
                   coalesce(sum(amount_micros) filter (where book = 'purchased'), 0) as purchased,
                   coalesce(sum(amount_micros) filter (where book = 'accrued'), 0)   as accrued,
                   coalesce(sum(amount_micros) filter (where book = 'payments'), 0)  as payments
              from written
             group by account_id) w
     where b.account_id = w.account_id;

    -- What a credit book gains is a grant of its own; what it loses was taken from one.
    insert into credit_grants (id, account_id, book, granted_micros, left_micros)
    select transaction_id, account_id, book, amount_micros, amount_micros
      from written where book in ('free', 'purchased') and amount_micros > 0;
    update credit_grants g set left_micros = g.left_micros + w.amount
      from (select grant_id, account_id, book, sum(amount_micros) as amount
              from written where grant_id is not null group by grant_id, account_id, book) w
     where g.id = w.grant_id and g.account_id = w.account_id and g.book = w.book;
    if exists (select from written w left join credit_grants g on (g.id, g.account_id, g.book) = (w.grant_id, w.account_id, w.book)
                where w.book in ('free', 'purchased') and w.amount_micros < 0 and g.id is null) then
        raise exception 'an entry takes credits and names no grant of its account and book'
            using errcode = 'check_violation', constraint = 'ledger_credits_come_from_grants';
    end if;
    return null;
end
$$;
-- +goose StatementEnd
alter table balances drop column invoiced_micros;
alter table ledger_transactions drop constraint ledger_transactions_kind_check;
alter table ledger_transactions add constraint ledger_transactions_kind_check
    check (kind in ('purchase', 'free_credits', 'usage', 'deployments', 'creation'));
