package caddymodule

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
)

// live sends r on with the identity of d's session, and cuts the response if the
// session ends before it does.
func (h *Handler) live(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, d *casauth.Decision) error {
	out := &response{
		ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		placeholders:          placeholders{session: d.Session, espace: d.Espace},
		rewriter:              h.rewriter,
	}
	if d.Brief {
		if d.Session.Over() {
			return h.ended(w, r, d.Session)
		}
	} else { // a context of its own is the dearest part of a request's way through
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		out.cancel, r = cancel, r.WithContext(ctx)
		if !d.Session.Hold(&out.hold, out) {
			return h.ended(w, r, d.Session)
		}
		defer out.hold.Release() // reverse_proxy panics when an answer breaks off
	}
	out.install(r)
	defer out.forget()
	h.identity.set(r.Header, &d.Session.Identity)
	err := next.ServeHTTP(out, r)
	out.hold.Release()
	out.finish()
	if !out.wrote && out.over() {
		out.unsay()
		return h.ended(w, r, d.Session) // a long poll that was waiting: its page learns why
	}
	return err
}

// ended answers a request whose session ended while it was under way.
func (h *Handler) ended(w http.ResponseWriter, r *http.Request, session *casauth.Session) error {
	if session.Unseen() {
		h.answer(w, r, h.gate.Unseen(r))
		return nil
	}
	h.answer(w, r, h.gate.Ended(r))
	return nil
}

// noPlaceholders is what a request without a session has.
var noPlaceholders = new(placeholders)

// placeholders answers {http.auth.user.*} and {http.pronote_cas.*}. Without a
// session they are empty: a placeholder that nobody answers would go upstream as
// literal text.
type placeholders struct {
	session *casauth.Session
	espace  pronote.Espace
}

func (p *placeholders) install(r *http.Request) {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(p.get)
	}
}

// forget makes the placeholders empty again: the access log is written after the
// request, and it has a field for {http.auth.user.id}.
func (p *placeholders) forget() { p.session = nil }

func (p *placeholders) get(key string) (any, bool) {
	if name, ok := strings.CutPrefix(key, "http.auth.user."); ok {
		switch {
		case p.session == nil:
			return "", true
		case name == "id":
			return p.session.User, true
		case name == "pronote_id":
			return p.session.PronoteID, true
		}
		return strings.Join(p.session.Attributes[name], ";"), true
	}
	if name, ok := strings.CutPrefix(key, "http.pronote_cas."); ok {
		if name == "espace" && p.session != nil && p.espace != pronote.NoEspace {
			return p.espace.String(), true
		}
		return "", true
	}
	return nil, false
}
