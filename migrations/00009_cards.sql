-- +goose Up

-- What support sets of an account (R42). A tax number set by support stands in the
-- place of the one beside the card, and stays when the card is replaced.
alter table accounts
    add column organization_name text check (length(organization_name) between 1 and 200),
    add column invoice_email     text check (invoice_email ~ '^[^@\s]+@[^@\s]+$' and length(invoice_email) <= 320),
    add column business_details  text check (length(business_details) between 1 and 2000),
    add column tax_id_type       text check (length(tax_id_type) between 1 and 30),
    add column tax_id_value      text check (length(tax_id_value) between 1 and 50),
    add constraint accounts_tax_id_whole check ((tax_id_type is null) = (tax_id_value is null));

-- +goose Down
alter table accounts drop column organization_name, drop column invoice_email, drop column business_details,
    drop column tax_id_type, drop column tax_id_value;
