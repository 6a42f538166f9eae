package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	maxKeyChars = 255
	// keyLifetime is how long an answer is given again.
	keyLifetime = 24 * time.Hour
)

// keptAnswer is the first answer under an idempotency key.
type keptAnswer struct {
	Key       string          `json:"key"`
	Path      string          `json:"path"`
	Params    string          `json:"params"` // hash of the parameters
	RequestID string          `json:"request_id"`
	Status    int             `json:"status"`
	Body      json.RawMessage `json:"body"`
	Created   int64           `json:"created"`
}

func hashParams(p params) string {
	sum := sha256.Sum256([]byte(p.encoded()))
	return hex.EncodeToString(sum[:])
}

// reserve takes the key for a request that is about to run. It gives the kept
// answer of an earlier request instead, or refuses.
func (s *Server) reserve(x *exchange) (*keptAnswer, *refusal) {
	if len(x.key) > maxKeyChars {
		return nil, invalidParam("", "", "The idempotency key must be at most %d characters.", maxKeyChars)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetOldKeys()
	if s.running[x.key] {
		return nil, keyInUse(x.key)
	}
	kept, known := s.keys[x.key]
	if !known {
		s.running[x.key] = true
		return nil, nil
	}
	if kept.Path != x.path {
		return nil, keyMisused(fmt.Sprintf("Keys for idempotent requests can only be used for the same endpoint they were first used for ('%s' vs '%s').", x.path, kept.Path), x.key)
	}
	if kept.Params != hashParams(x.params) {
		return nil, keyMisused("Keys for idempotent requests can only be used with the same parameters they were first used with.", x.key)
	}
	return kept, nil
}

// release gives the key up; what was not kept may be tried again under it.
func (s *Server) release(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, key)
}

func (s *Server) forgetOldKeys() {
	oldest := s.now().Add(-keyLifetime).Unix()
	for len(s.keyOrder) > 0 && s.keys[s.keyOrder[0]].Created <= oldest {
		delete(s.keys, s.keyOrder[0])
		s.keyOrder = s.keyOrder[1:]
	}
}

func keyInUse(key string) *refusal {
	r := newRefusal(http.StatusConflict, problem{
		Type: typeInvalid, Code: "idempotency_key_in_use",
		Message: "There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): " + key + ". Please try again later.",
	})
	r.unkept = true
	return r
}

func keyMisused(why, key string) *refusal {
	r := newRefusal(http.StatusBadRequest, problem{
		Type:    typeIdempotency,
		Message: why + " Try using a key other than '" + key + "' if you meant to execute a different request.",
	})
	r.unkept = true
	return r
}
