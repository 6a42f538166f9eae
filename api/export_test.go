package api

import "time"

// AnswerWithin sets how long handlers may work on an answer.
func (s *Server) AnswerWithin(d time.Duration) { s.answerWithin = d }

// Crowd fills the watch with requests that wait for a purchase, so that no other may.
func (s *Server) Crowd(purchaseID string) {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	for len(s.watch.watchers) < maxWatchers {
		s.watch.watchers[&watcher{id: purchaseID, revision: 1 << 40, changed: make(chan struct{})}] = struct{}{}
	}
}
