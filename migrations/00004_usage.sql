-- +goose Up

-- The price list: what one unit of a SKU costs from a moment on, in
-- pico-dollars (a millionth of a micro-dollar), so that a token's price is a whole
-- number (R1, R46). A version is never changed; a new one takes its place.
create table prices (
    id             integer generated always as identity primary key,
    sku            text        not null check (sku ~ '^[a-z0-9][a-z0-9._/-]{0,99}$'),
    unit           text        not null check (unit in ('token', 'image', 'minute', 'job')),
    picos_per_unit bigint      not null check (picos_per_unit between 0 and 1000000000000000000),
    from_at        timestamptz not null,
    unique (sku, from_at)
);
create trigger prices_append_only before update or delete on prices
    for each row execute function refuse_change();
create trigger prices_never_emptied before truncate on prices
    for each statement execute function refuse_change();

-- Usage is priced by the price in force at its time, so a version that began
-- before it was known would leave usage priced wrongly. And what a SKU is counted
-- in stays.
-- +goose StatementBegin
create function prices_begin_ahead() returns trigger language plpgsql as $$
begin
    if exists (select from prices p where p.sku = new.sku and (p.from_at >= new.from_at or p.unit <> new.unit)) then
        raise exception 'price of % from %: an earlier price of it begins later, or has another unit', new.sku, new.from_at
            using errcode = 'check_violation', constraint = 'prices_follow_each_other';
    end if;
    if new.from_at <= clock_timestamp() and exists (select from prices p where p.sku = new.sku) then
        raise exception 'price of % from %: a new price begins in the future', new.sku, new.from_at
            using errcode = 'check_violation', constraint = 'prices_begin_ahead';
    end if;
    return new;
end
$$;
-- +goose StatementEnd
create trigger prices_begin_ahead before insert on prices
    for each row execute function prices_begin_ahead();

insert into prices (sku, unit, picos_per_unit, from_at)
select sku, unit, (micros_per_unit * 1000000)::bigint, timestamptz '2024-01-01 00:00Z'
  from (values
    ('dedicated_endpoint.a100-80gb',           'minute', 40000::numeric),
    ('dedicated_endpoint.h100-80gb',           'minute', 56000),
    ('dedicated_endpoint.h200-141gb',          'minute', 83000),
    ('dedicated_endpoint.creation',            'job',  1000000),
    ('hosted_model.a100-80gb',                 'minute', 42700),
    ('hosted_model.h100-80gb',                 'minute', 59800),
    ('hosted_model.creation',                  'job',   500000),
    ('fine_tuning_job.creation',               'job',  4000000),
    ('evaluation_job.creation',                'job',  1000000),
    ('meta-llama/llama-3.3-70b.input',         'token',   0.88),
    ('meta-llama/llama-3.3-70b.output',        'token',   0.88),
    ('meta-llama/llama-3.1-8b.input',          'token',   0.18),
    ('meta-llama/llama-3.1-8b.output',         'token',   0.18),
    ('deepseek-ai/deepseek-v3.input',          'token',   1.25),
    ('deepseek-ai/deepseek-v3.output',         'token',   1.25),
    ('deepseek-ai/deepseek-r1.input',          'token',   3),
    ('deepseek-ai/deepseek-r1.output',         'token',   7),
    ('qwen/qwen2.5-7b.input',                  'token',   0.3),
    ('qwen/qwen2.5-7b.output',                 'token',   0.3),
    ('baai/bge-large-en-v1.5.embedding',       'token',   0.016),
    ('intfloat/multilingual-e5-large.embedding', 'token', 0.02),
    ('salesforce/llama-rank-v1.rerank',        'token',   0.1),
    ('black-forest-labs/flux.1-schnell',       'image',  2700),
    ('black-forest-labs/flux.1-dev',           'image', 25000),
    ('black-forest-labs/flux.1.1-pro',         'image', 40000)) as list (sku, unit, micros_per_unit);

-- Credits that were given, each with what is left of it: a purchase or a grant
-- of support. Usage takes from the oldest (R5), and its entries name it (R53). Only
-- the trigger on the entries writes here.
create table credit_grants (
    id             bigint primary key references ledger_transactions,
    account_id     uuid        not null references accounts,
    book           ledger_book not null check (book in ('free', 'purchased')),
    granted_micros bigint      not null check (granted_micros > 0),
    left_micros    bigint      not null,
    -- Beside left_micros, which an index must not name: each use would then have to
    -- write the index as well.
    open           boolean     not null generated always as (left_micros > 0) stored,
    constraint credit_grants_never_overdrawn check (left_micros between 0 and granted_micros)
) with (fillfactor = 70);
create index credit_grants_open on credit_grants (account_id, book, id) where open;

insert into credit_grants (id, account_id, book, granted_micros, left_micros)
select e.transaction_id, e.account_id, e.book, e.amount_micros, e.amount_micros
  from ledger_entries e where e.book in ('free', 'purchased') and e.amount_micros > 0;

create trigger credit_grants_follow_entries before insert or update or delete on credit_grants
    for each row when (pg_trigger_depth() < 1) execute function refuse_balance_by_hand();
create trigger credit_grants_never_emptied before truncate on credit_grants
    for each statement execute function refuse_balance_by_hand();

-- An entry that takes credits names the grant that it takes them from; the trigger
-- on the entries refuses one that is not there. And an entry is of the account of
-- its transaction: one reference in the place of two.
alter table ledger_transactions add constraint ledger_transactions_of_account unique (id, account_id);
alter table ledger_entries
    drop constraint ledger_entries_account_id_fkey,
    drop constraint ledger_entries_transaction_id_fkey,
    add constraint ledger_entries_transaction_id_fkey foreign key (transaction_id, account_id) references ledger_transactions (id, account_id);
alter table ledger_entries
    add column grant_id bigint,
    add constraint ledger_grants_are_of_credits check (grant_id is null or book in ('free', 'purchased') and amount_micros < 0);

alter table ledger_transactions drop constraint ledger_transactions_kind_check;
alter table ledger_transactions add constraint ledger_transactions_kind_check
    check (kind in ('purchase', 'free_credits', 'usage', 'deployments', 'creation'));

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

-- Its plan is made when the first purchase is, from an empty table, and kept.
alter function ledger_transaction_has_entries() set enable_seqscan = off;

-- +goose StatementBegin
-- Which grants pay for what is taken, the oldest first (R5); less than asked for
-- where the grants do not suffice. The caller holds the balances.
create function credit_takes(p_accounts uuid[], p_books ledger_book[], p_amounts bigint[])
returns table (account_id uuid, book ledger_book, grant_id bigint, taken bigint) language sql stable as $$
    select g.account_id, g.book, g.id, least(g.left_micros, g.amount - g.before)
      from (select c.account_id, c.book, c.id, c.left_micros, t.amount,
                   (sum(c.left_micros) over (partition by c.account_id, c.book order by c.id) - c.left_micros)::bigint as before
              from unnest(p_accounts, p_books, p_amounts) as t (account_id, book, amount)
              join credit_grants c on c.account_id = t.account_id and c.book = t.book and c.open
             where t.amount > 0) g
     where g.before < g.amount;
$$;

create or replace function ledger_post(
    p_key text, p_kind text, p_account uuid, p_at timestamptz, p_books ledger_book[], p_amounts bigint[],
    out transaction_id bigint, out fresh boolean
) language plpgsql as $$
declare
    takes boolean := exists (select from unnest(p_books, p_amounts) e (book, amount) where e.book in ('free', 'purchased') and e.amount < 0);
    short ledger_book;
begin
    insert into ledger_transactions (idempotency_key, kind, account_id, occurred_at)
    values (p_key, p_kind, p_account, p_at)
    on conflict (idempotency_key) do nothing
    returning id into transaction_id;

    fresh := found;
    if fresh and not takes then
        insert into ledger_entries (transaction_id, line, account_id, book, amount_micros)
        select ledger_post.transaction_id, e.line, p_account, e.book, e.amount
          from unnest(p_books, p_amounts) with ordinality as e (book, amount, line);
        return;
    end if;
    if fresh then
        perform from balances where account_id = p_account for update;
        with asked as (
            select e.book, e.amount, e.line, e.book in ('free', 'purchased') and e.amount < 0 as takes
              from unnest(p_books, p_amounts) with ordinality as e (book, amount, line)),
        parts as (
            select a.line, a.book, a.amount, null::bigint as grant_id from asked a where not a.takes
            union all
            select a.line, a.book, -c.taken, c.grant_id
              from asked a, credit_takes(array[p_account], array[a.book], array[-a.amount]) c where a.takes)
        insert into ledger_entries (transaction_id, line, account_id, book, amount_micros, grant_id)
        select ledger_post.transaction_id, row_number() over (order by line, grant_id), p_account, book, amount, grant_id from parts
         where not exists (select from asked a where a.takes
                              and -a.amount > (select coalesce(sum(c.taken), 0) from credit_takes(array[p_account], array[a.book], array[-a.amount]) c));
        if not found then
            select e.book into short from unnest(p_books, p_amounts) e (book, amount) where e.book in ('free', 'purchased') and e.amount < 0;
            raise exception 'ledger key %: there are not so many % credits', p_key, short
                using errcode = 'check_violation', constraint = short || '_credits_never_negative';
        end if;
        return;
    end if;

    select t.id into transaction_id
      from ledger_transactions t
     where t.idempotency_key = p_key and t.kind = p_kind and t.account_id = p_account
       and (select array_agg((s.book, s.amount)::text order by s.book)
              from (select e.book, sum(e.amount_micros) as amount from ledger_entries e where e.transaction_id = t.id group by e.book) s)
         = (select array_agg((s.book, s.amount)::text order by s.book)
              from (select e.book, sum(e.amount) as amount from unnest(p_books, p_amounts) e (book, amount) group by e.book) s);
    if not found then
        raise exception 'ledger key % was posted before with other contents', p_key
            using errcode = 'unique_violation', constraint = 'ledger_key_same_contents';
    end if;
end
$$;
-- +goose StatementEnd

-- How far an account may go (R7), as it was set from a moment on; the newest row
-- counts. Nothing is changed, so that what held at any instant can be told (R53).
create table account_terms (
    id                    bigint generated always as identity primary key,
    account_id            uuid        not null references accounts,
    -- Scale and Enterprise are agreed with the company: tier 5 access, whatever was spent.
    plan                  text        not null default 'build' check (plan in ('build', 'scale', 'enterprise')),
    support_limit_micros  bigint check (support_limit_micros >= 0),
    customer_limit_micros bigint check (customer_limit_micros >= 0),
    changed_by            text        not null check (changed_by in ('customer', 'support')),
    reason                text,
    changed_at            timestamptz not null,
    constraint account_terms_support_says_why check (changed_by = 'customer' or reason is not null and length(reason) between 1 and 2000)
);
create index account_terms_newest on account_terms (account_id, id desc);
create trigger account_terms_append_only before update or delete on account_terms
    for each row execute function refuse_change();
create trigger account_terms_never_emptied before truncate on account_terms
    for each statement execute function refuse_change();

create index invoices_unpaid on invoices (account_id) include (total_micros) where status in ('open', 'past_due');

-- Since when the account may not use anything (R8): its tier is Limited, it is
-- suspended, or it has no credits and its exposure has reached the limit. Null
-- while it may.
alter table entitlements add column blocked_since timestamptz default '-infinity';
update entitlements set blocked_since = null where tier > 0;

-- What an entitlement was, and from when (R53).
create table entitlement_changes (
    account_id uuid        not null references accounts,
    version    bigint      not null,
    tier       smallint    not null,
    suspended  boolean     not null,
    blocked    boolean     not null,
    changed_at timestamptz not null,
    primary key (account_id, version, changed_at)
);
insert into entitlement_changes select account_id, version, tier, suspended, blocked_since is not null, changed_at from entitlements;
create trigger entitlement_changes_append_only before update or delete on entitlement_changes
    for each row execute function refuse_change();
create trigger entitlement_changes_never_emptied before truncate on entitlement_changes
    for each statement execute function refuse_change();

-- +goose StatementBegin
create function entitlements_remember() returns trigger language plpgsql as $$
begin
    insert into entitlement_changes (account_id, version, tier, suspended, blocked, changed_at)
    values (new.account_id, new.version, new.tier, new.suspended, new.blocked_since is not null, new.changed_at)
    on conflict do nothing;
    return null;
end
$$;
-- +goose StatementEnd
create trigger entitlements_remember after insert or update on entitlements
    for each row execute function entitlements_remember();

-- How accounts stand by the rules: p_tiers are the thresholds of tiers 1, 2, ...,
-- p_limits how far tiers 0, 1, 2, ... may go, in micro-dollars (R7, R8, R12).
-- +goose StatementBegin
create function account_standings(p_accounts uuid[], p_tiers bigint[], p_limits bigint[])
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

-- Brings entitlements to what the accounts' standing has made of them, and has
-- those that changed pushed. Answers every account. Whoever settles holds the
-- balances, so that no two settle one account from different views of it.
create function entitlements_settle(p_accounts uuid[], p_tiers bigint[], p_limits bigint[], p_at timestamptz)
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

drop function purchase_credit(uuid, bigint[], timestamptz);
drop function entitlement_settle(uuid, bigint[], timestamptz);

-- The balance stage: the captured money becomes purchased credits, once, and
-- the account's entitlement follows. A purchase that changed no entitlement
-- waits for no gateway: its version is 0 (R22).
create function purchase_credit(
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

-- Changes an account's terms, and the entitlement with them. What support sets the
-- customer's own change leaves, and the other way round. A limit of support is for
-- those who may have one (R7).
-- +goose StatementBegin
create function account_terms_change(
    p_account uuid, p_by text, p_plan text, p_limit bigint, p_reason text, p_tiers bigint[], p_limits bigint[], p_at timestamptz
) returns void language plpgsql as $$
declare
    t account_terms;
begin
    perform from balances where account_id = p_account for update;
    select * into t from account_terms where account_id = p_account order by id desc limit 1;
    insert into account_terms (account_id, plan, support_limit_micros, customer_limit_micros, changed_by, reason, changed_at)
    values (p_account, coalesce(p_plan, t.plan, 'build'),
            case when p_by = 'support' then p_limit else t.support_limit_micros end,
            case when p_by = 'customer' then p_limit else t.customer_limit_micros end, p_by, p_reason, p_at);
    if p_by = 'support' and p_limit is not null
       and (select tier from account_standings(array[p_account], p_tiers, p_limits)) < 5 then
        raise exception 'account %: its limit is fixed', p_account
            using errcode = 'check_violation', constraint = 'account_terms_limit_is_fixed';
    end if;
    perform from entitlements_settle(array[p_account], p_tiers, p_limits, p_at);
end
$$;
-- +goose StatementEnd

-- What a charge for usage leaves under a micro-dollar: it is carried to the
-- account's next one, so that nothing is lost and nothing rounded twice (R1).
create table usage_meters (
    account_id      uuid primary key references accounts,
    remainder_picos integer not null check (remainder_picos between 0 and 999999)
) with (fillfactor = 50);

-- Charges accounts for what they used, in pico-dollars: free credits first, then
-- purchased, then accrued (R5), one ledger transaction an account, and the
-- entitlement follows. The caller holds the balances.
-- +goose StatementBegin
create function usage_charge(
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

-- Each report of usage, by month of its time. A partition refuses an id that it has;
-- over partitions they are kept apart by looking into the others while the balance
-- is held.
create table usage_events (
    account_id uuid        not null,
    event_id   text collate "C" not null,
    at         timestamptz not null,
    price_id   integer     not null,
    quantity   bigint      not null check (quantity >= 0),
    resource   text,
    -- The ledger transaction's key is usage/<batch>/<account>.
    batch      bigint      not null
) partition by range (at);
create sequence usage_batches;

-- Makes the partitions of p_months months from that of p_from on. Made apart and
-- attached then, so that reports go on meanwhile.
-- +goose StatementBegin
create function usage_partitions_ensure(p_from timestamptz, p_months integer) returns integer language plpgsql as $$
declare
    first date := date_trunc('month', p_from at time zone 'UTC');
    name  text;
    lower_at timestamptz;
    upper_at timestamptz;
    made  integer := 0;
begin
    perform pg_advisory_xact_lock(hashtext('usage_partitions_ensure'));
    for n in 0 .. p_months - 1 loop
        lower_at := (first + make_interval(months => n))::timestamp at time zone 'UTC';
        upper_at := (first + make_interval(months => n + 1))::timestamp at time zone 'UTC';
        name := 'usage_events_' || to_char(first + make_interval(months => n), 'YYYY_MM');
        continue when to_regclass(name) is not null;
        execute format('create table %I (like usage_events including all, check (at >= %L and at < %L))', name, lower_at, upper_at);
        execute format('create unique index on %I (account_id, event_id)', name);
        execute format('alter table usage_events attach partition %I for values from (%L) to (%L)', name, lower_at, upper_at);
        execute format('create trigger usage_events_append_only before update or delete on %I for each row execute function refuse_change()', name);
        made := made + 1;
    end loop;
    return made;
end
$$;
-- +goose StatementEnd
select usage_partitions_ensure(now() - interval '3 months', 7);

-- What each resource used and what it cost, by month of use and price: exact, in
-- pico-dollars (R47). The sums of the events, kept with them.
create table usage_totals (
    account_id uuid    not null references accounts,
    period     date    not null,
    price_id   integer not null references prices,
    resource   text    not null,
    events     bigint  not null,
    quantity   numeric not null,
    picos      numeric not null,
    primary key (account_id, period, price_id, resource)
) with (fillfactor = 50);

-- Takes a batch of priced reports, one array element each: stores those that are
-- new and admitted (R8, R11), charges each account once, and answers the place and
-- the reason of the others. Places count from 1. p_known is the newest price that
-- the caller priced by.
--
-- The reports are stored before the balances are held, so that batches of one
-- account are written side by side and wait for each other at the charge alone.
-- A partition refuses what it has; what another month has is looked for when the
-- balances are held, and then the statement fails: with p_careful it holds
-- them from the start.
-- +goose StatementBegin
create function usage_record(
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
-- +goose StatementEnd

-- +goose Down
drop function usage_record(uuid[], text[], timestamptz[], integer[], bigint[], text[], integer, boolean, bigint[], bigint[], timestamptz);
drop table usage_totals, usage_events;
drop sequence usage_batches;
drop function usage_partitions_ensure(timestamptz, integer),
    usage_charge(text, text, uuid[], numeric[], bigint[], bigint[], timestamptz);
drop table usage_meters;
drop function account_terms_change(uuid, text, text, bigint, text, bigint[], bigint[], timestamptz),
    purchase_credit(uuid, bigint[], bigint[], timestamptz), entitlements_settle(uuid[], bigint[], bigint[], timestamptz),
    account_standings(uuid[], bigint[], bigint[]);
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
    return null;
end
$$;
create or replace function ledger_post(
    p_key text, p_kind text, p_account uuid, p_at timestamptz, p_books ledger_book[], p_amounts bigint[],
    out transaction_id bigint, out fresh boolean
) language plpgsql as $$
begin
    insert into ledger_transactions (idempotency_key, kind, account_id, occurred_at)
    values (p_key, p_kind, p_account, p_at)
    on conflict (idempotency_key) do nothing
    returning id into transaction_id;

    fresh := found;
    if fresh then
        insert into ledger_entries (transaction_id, line, account_id, book, amount_micros)
        select ledger_post.transaction_id, e.line, p_account, e.book, e.amount
          from unnest(p_books, p_amounts) with ordinality as e (book, amount, line);
        return;
    end if;

    select t.id into transaction_id
      from ledger_transactions t
     where t.idempotency_key = p_key and t.kind = p_kind and t.account_id = p_account
       and (select array_agg(e.book order by e.line) = p_books and array_agg(e.amount_micros order by e.line) = p_amounts
              from ledger_entries e where e.transaction_id = t.id);
    if not found then
        raise exception 'ledger key % was posted before with other contents', p_key
            using errcode = 'unique_violation', constraint = 'ledger_key_same_contents';
    end if;
end
$$;
-- +goose StatementEnd
drop trigger entitlements_remember on entitlements;
drop function entitlements_remember();
drop table entitlement_changes;
alter table entitlements drop column blocked_since;
drop index invoices_unpaid;
drop table account_terms;
alter table ledger_transactions drop constraint ledger_transactions_kind_check;
alter table ledger_transactions add constraint ledger_transactions_kind_check check (kind in ('purchase', 'free_credits'));
alter table ledger_entries
    drop constraint ledger_grants_are_of_credits,
    drop column grant_id,
    drop constraint ledger_entries_transaction_id_fkey,
    add constraint ledger_entries_transaction_id_fkey foreign key (transaction_id) references ledger_transactions,
    add constraint ledger_entries_account_id_fkey foreign key (account_id) references accounts;
alter table ledger_transactions drop constraint ledger_transactions_of_account;
drop function credit_takes(uuid[], ledger_book[], bigint[]);
alter function ledger_transaction_has_entries() reset enable_seqscan;
drop table credit_grants;
drop table prices;
drop function prices_begin_ahead();
