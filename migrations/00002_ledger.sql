-- +goose Up

-- Where value can stand. Every book is kept per account; what the company
-- itself holds is the sum of a book over all accounts, so that no row is
-- shared by all purchases. An entry's amount is what the book gains, so a
-- purchase takes from payments and gives to purchased.
create type ledger_book as enum (
    'free',       -- free credits that the customer holds
    'purchased',  -- purchased credits that the customer holds
    'accrued',    -- usage not yet invoiced; a debt, so never above zero
    'payments',   -- money that the customer's bank paid
    'promotions', -- value the company gave away
    'revenue'     -- value consumed by usage
);

create table ledger_transactions (
    id              bigint generated always as identity primary key,
    idempotency_key text        not null unique check (length(idempotency_key) between 1 and 255),
    kind            text        not null check (kind in ('purchase', 'free_credits')),
    account_id      uuid        not null references accounts,
    occurred_at     timestamptz not null,
    recorded_at     timestamptz not null default clock_timestamp()
);
create index ledger_transactions_account on ledger_transactions (account_id, id);

create table ledger_entries (
    transaction_id bigint      not null references ledger_transactions,
    line           smallint    not null,
    account_id     uuid        not null references accounts,
    book           ledger_book not null,
    amount_micros  bigint      not null check (amount_micros <> 0),
    primary key (transaction_id, line)
);
create index ledger_entries_account on ledger_entries (account_id, book);

-- Running balances: the sums of the entries, one row an account from the
-- account's first moment. Only the trigger on the entries changes them, so the
-- two can't disagree; the checks are where the database refuses credits below
-- zero (R51).
create table balances (
    account_id            uuid primary key references accounts,
    free_micros           bigint not null default 0 constraint free_credits_never_negative check (free_micros >= 0),
    purchased_micros      bigint not null default 0 constraint purchased_credits_never_negative check (purchased_micros >= 0),
    accrued_micros        bigint not null default 0 constraint accrued_is_a_debt check (accrued_micros >= 0),
    lifetime_spend_micros bigint not null default 0 constraint lifetime_spend_never_negative check (lifetime_spend_micros >= 0)
);

-- +goose StatementBegin
create function ledger_entries_follow() returns trigger language plpgsql as $$
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

create function ledger_transaction_has_entries() returns trigger language plpgsql as $$
begin
    if not exists (select from ledger_entries where transaction_id = new.id) then
        raise exception 'ledger transaction % has no entries', new.id
            using errcode = 'check_violation', constraint = 'ledger_transactions_have_entries';
    end if;
    return null;
end
$$;

create function open_balances() returns trigger language plpgsql as $$
begin
    insert into balances (account_id) values (new.id);
    return null;
end
$$;

create function refuse_balance_by_hand() returns trigger language plpgsql as $$
begin
    raise exception 'balances follow the ledger entries: % by hand refused', lower(tg_op)
        using errcode = 'restrict_violation';
end
$$;
-- +goose StatementEnd

create trigger ledger_entries_follow after insert on ledger_entries
    referencing new table as written
    for each statement execute function ledger_entries_follow();

create constraint trigger ledger_transaction_has_entries after insert on ledger_transactions
    deferrable initially deferred
    for each row execute function ledger_transaction_has_entries();

create trigger ledger_transactions_append_only before update or delete on ledger_transactions
    for each row execute function refuse_change();
create trigger ledger_transactions_never_emptied before truncate on ledger_transactions
    for each statement execute function refuse_change();
create trigger ledger_entries_append_only before update or delete on ledger_entries
    for each row execute function refuse_change();
create trigger ledger_entries_never_emptied before truncate on ledger_entries
    for each statement execute function refuse_change();

create trigger accounts_open_balances after insert on accounts
    for each row execute function open_balances();

-- The depth is 1 when another trigger is the writer, 0 when a statement is.
create trigger balances_follow_entries before insert or update or delete on balances
    for each row when (pg_trigger_depth() < 1) execute function refuse_balance_by_hand();
create trigger balances_never_emptied before truncate on balances
    for each statement execute function refuse_balance_by_hand();

-- Posts one ledger transaction, once: a repeat of the key with the same
-- account, kind and entries answers the first posting (fresh is false), with
-- anything else it is refused.
-- +goose StatementBegin
create function ledger_post(
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

-- +goose Down
drop function ledger_post(text, text, uuid, timestamptz, ledger_book[], bigint[]);
drop trigger accounts_open_balances on accounts;
drop table balances, ledger_entries, ledger_transactions;
drop function ledger_entries_follow(), ledger_transaction_has_entries(), open_balances(), refuse_balance_by_hand();
drop type ledger_book;
