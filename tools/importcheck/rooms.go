package main

import "strings"

// module is the path that every room's import path begins with.
const module = "github.com/paystage/paystage"

// room is what may be imported by one folder at the top of the checkout.
type room struct {
	// may are the other rooms its code may import.
	may []string
	// standardOnly says that its code imports no other module.
	standardOnly bool
}

// house is every room, from the innermost outwards, and what it may import. A
// folder that is not here is refused, so that a new room is given its place on
// purpose.
var house = map[string]room{
	"money":      {standardOnly: true},
	"models":     {standardOnly: true, may: rooms("money")},
	"billing":    {standardOnly: true, may: rooms("money models")},
	"migrations": {may: rooms("money models billing")},
	"ledger":     {may: rooms("money models billing migrations")},
	// A gateway is embedded in somebody else's program.
	"gateway": {may: rooms("money models")},
	// The tokens of links in mails: signed here, verified by whoever serves the link.
	"links": {standardOnly: true},
	// Pages for customers, as pure functions; who serves them knows what they show.
	"web": {standardOnly: true, may: rooms("money models billing")},
	// What customers are told by email: text, and no way to send it.
	"letters": {standardOnly: true, may: rooms("money models billing")},
	// What customers download, drawn from what is frozen.
	"documents": {may: rooms("money models billing")},
	// The activities sign their requests the way gateways verify them.
	"activities": {may: rooms("money models billing migrations ledger gateway letters")},
	"workflows":  {may: rooms("money models billing migrations ledger gateway letters activities")},
	"relay":      {may: rooms("money models billing migrations ledger gateway letters activities workflows links")},
	"api":        {may: rooms("money models billing migrations ledger gateway letters activities workflows relay links web documents")},
	// What the programs are told by their environment; the rooms are told by them.
	"config":  {may: rooms("money models billing gateway links")},
	"worker":  {may: append(production(), "config")},
	"starter": {may: append(production(), "config")},
	// The double is a stranger, as Stripe is.
	"stripesim": {},
	"devstack":  {may: append(production(), "config", "stripesim")},
	"testenv":   {may: append(production(), "config", "stripesim", "devstack")},
	"bench":     {may: append(production(), "config", "stripesim", "devstack", "testenv")},
}

func rooms(names string) []string { return strings.Fields(names) }

// production is every room of business that is linked into worker or starter.
func production() []string {
	return rooms("money models billing migrations ledger gateway letters activities workflows relay api links web documents")
}

// testsMay are the rooms that a _test.go file of any room may import besides what
// its room may. They may import any other module.
var testsMay = []string{"stripesim", "testenv", "devstack"}
