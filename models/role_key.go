package models

import "time"

// Role is what a key's holder may do (R52).
type Role string

// The roles.
const (
	RoleCheckout Role = "checkout"
	RoleUsage    Role = "usage"
	RoleGateway  Role = "gateway"
	RoleSupport  Role = "support"
	RoleFinance  Role = "finance"
	RoleAdmin    Role = "admin"
)

// Roles lists every role.
func Roles() []Role {
	return []Role{RoleCheckout, RoleUsage, RoleGateway, RoleSupport, RoleFinance, RoleAdmin}
}

// RoleKey is a caller's key. The secret is shown once, when it is made, and
// only its SHA-256 is kept: it is 256 random bits, so a slow hash adds nothing.
type RoleKey struct {
	ID         string
	Role       Role
	Name       string
	SecretHash []byte
	CreatedAt  time.Time
	RevokedAt  *time.Time
}
