-- +goose Up

-- A decline, and an end because nobody answered the bank, are told by mail in the
-- transaction that records them. What auto-recharge met is told by its halt, so that
-- one decline is one mail.
-- +goose StatementBegin
create function purchases_tell_end() returns trigger language plpgsql as $$
begin
    perform outbox_put('mail_purchase_' || new.bank, new.id::text);
    return null;
end
$$;
-- +goose StatementEnd
create trigger purchases_tell_end after update of bank on purchases
    for each row when (new.origin = 'checkout'
                       and (new.bank = 'declined' and old.bank <> 'declined' or new.bank = 'expired' and old.bank = 'requires_action'))
    execute function purchases_tell_end();

-- The highest tier that the account was told of since it last fell below it.
alter table entitlements add column tier_told smallint not null default 0;
update entitlements set tier_told = tier where tier > 0;

-- A tier that has risen is told when every gateway holds it, whatever payment raised
-- it: so what the mail says is true when it is read, and a tier that rises twice
-- before that is one mail. The subject is the account and the version that is held.
-- +goose StatementBegin
create function entitlements_tell_tier() returns trigger language plpgsql as $$
begin
    if new.tier > old.tier_told then
        perform outbox_put('mail_tier_reached', new.account_id || '/' || new.version);
    end if;
    new.tier_told := new.tier;
    return new;
end
$$;
-- +goose StatementEnd
-- Its name comes after that of entitlements_wait, which may put the account back in
-- the queue.
create trigger entitlements_waited before update on entitlements
    for each row when (old.waiting_since is not null and new.waiting_since is null and new.tier <> old.tier_told)
    execute function entitlements_tell_tier();

-- Who sells, as documents name it, since when. A document takes the one of when it was
-- issued, so that a company that moves changes no invoice (R45). The first holds for all
-- that came before it.
create table sellers (
    id      bigint generated always as identity primary key,
    name    text        not null,
    details text[]      not null,
    from_at timestamptz not null
);
create trigger sellers_append_only before update or delete on sellers
    for each row execute function refuse_change();
create trigger sellers_never_emptied before truncate on sellers
    for each statement execute function refuse_change();

-- The purchases of a month, for finance.
create index invoices_of_purchases on invoices (issued_at, id) where kind = 'purchase';

-- +goose Down
drop index invoices_of_purchases;
drop table sellers;
drop trigger entitlements_waited on entitlements;
drop function entitlements_tell_tier();
alter table entitlements drop column tier_told;
drop trigger purchases_tell_end on purchases;
drop function purchases_tell_end();
