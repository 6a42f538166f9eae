// Package models holds the nouns of Paystage: accounts, cards, purchases,
// invoices, ledger entries, entitlements. A model knows what one row of it may
// be and nothing of where it is stored or who moves it along.
package models
