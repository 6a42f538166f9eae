-- +goose Up

-- A new value of an enum can be used only after the commit that makes it, so these
-- come before what uses them.
alter type ledger_book add value if not exists 'invoiced'; -- invoiced and not paid; a debt, so never above zero
alter type ledger_book add value if not exists 'losses';   -- invoiced, and given up as uncollectible

-- +goose Down
-- A value can't be taken out of an enum again. Nothing uses them any more.
select 1;
