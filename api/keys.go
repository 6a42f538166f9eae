package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

const (
	bearer = "role key"
	// keyIDBytes is the length of a key's id, which is written in hexadecimal.
	keyIDBytes = 8
)

// NewRoleKey makes a key for a role. The text is what its holder sends, and is
// shown this once: ps_<role>_<id>_<secret>.
func NewRoleKey(role models.Role, name string, at time.Time) (models.RoleKey, string, error) {
	if !slices.Contains(models.Roles(), role) {
		return models.RoleKey{}, "", problem(http.StatusUnprocessableEntity, "invalid_role",
			fmt.Sprintf("There is no role %q. The roles are %s.", role, RoleNames(models.Roles())))
	}
	var id [keyIDBytes]byte
	var secret [32]byte
	rand.Read(id[:]) // never fails
	rand.Read(secret[:])
	key := models.RoleKey{ID: hex.EncodeToString(id[:]), Role: role, Name: name, CreatedAt: at}
	text := strings.Join([]string{"ps", string(role), key.ID, hex.EncodeToString(secret[:])}, "_")
	hash := sha256.Sum256([]byte(text))
	key.SecretHash = hash[:]
	return key, text, nil
}

// RoleNames lists roles in words.
func RoleNames(roles []models.Role) string {
	names := make([]string, len(roles))
	for i, role := range roles {
		names[i] = string(role)
	}
	return strings.Join(names, ", ")
}

// keyIDOf reads the id out of a key's text, "" if it has not the form of one.
func keyIDOf(text string) string {
	parts := strings.Split(text, "_")
	if len(parts) != 4 || parts[0] != "ps" || !IsKeyID(parts[2]) {
		return ""
	}
	return parts[2]
}

// IsKeyID says whether a text has the form of a key's id.
func IsKeyID(text string) bool {
	id, err := hex.DecodeString(text)
	return err == nil && len(id) == keyIDBytes
}

type callerKey struct{}

// caller is who made the request.
func caller(ctx context.Context) models.RoleKey {
	key, _ := ctx.Value(callerKey{}).(models.RoleKey)
	return key
}

// authorize lets the holders of a valid key with one of the roles through.
func (s *Server) authorize(api huma.API, roles []models.Role) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		var key models.RoleKey
		err := s.within(ctx.Context(), func(within context.Context) (err error) {
			key, err = s.authenticate(within, ctx.Header("Authorization"))
			return err
		})
		if err == nil && !slices.Contains(roles, key.Role) {
			err = problem(http.StatusForbidden, "wrong_role",
				fmt.Sprintf("A %s key may not do this. Use a key with one of the roles: %s.", key.Role, RoleNames(roles)))
		}
		if err == nil {
			next(huma.WithValue(ctx, callerKey{}, key))
			return
		}
		p, known := problemOf(err)
		if !known {
			s.Log.Error("key not checked", "error", err)
		}
		_, w := humago.Unwrap(ctx)
		p.write(w)
	}
}

// authenticate finds the key of an Authorization header. The hash is compared in
// constant time, and an unknown id goes the way of a wrong secret.
func (s *Server) authenticate(ctx context.Context, header string) (models.RoleKey, error) {
	unknown := problem(http.StatusUnauthorized, "invalid_key",
		"Send a valid key as `Authorization: Bearer KEY`. This one is missing, unknown or revoked.")
	scheme, text, _ := strings.Cut(header, " ")
	id := keyIDOf(text)
	if !strings.EqualFold(scheme, "Bearer") || id == "" {
		return models.RoleKey{}, unknown
	}
	key, err := s.Store.RoleKey(ctx, id)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return models.RoleKey{}, err
	}
	hash := sha256.Sum256([]byte(text))
	if subtle.ConstantTimeCompare(hash[:], key.SecretHash) != 1 || key.RevokedAt != nil {
		return models.RoleKey{}, unknown
	}
	return key, nil
}

// audit is the entry of what the caller does.
func (s *Server) audit(ctx context.Context, action, accountID, subject, reason string) models.AuditEntry {
	key := caller(ctx)
	entry := models.AuditEntry{
		At: s.Now(), Actor: key.Name + " (" + key.ID + ")", Role: key.Role, Action: action, Subject: subject, Reason: reason,
	}
	if accountID != "" {
		entry.AccountID = &accountID
	}
	return entry
}
