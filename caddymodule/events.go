package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
)

// The events that other modules, and `events` in the Caddyfile, can subscribe to.
// Each has the same data, "" where there is nothing to say: site, person (a
// pseudonym), espace, reason, code and trip.
const (
	eventLogin   = "pronote_cas_login"   // a session was made
	eventLogout  = "pronote_cas_logout"  // a person, or the ENT, ended one
	eventRefused = "pronote_cas_refused" // somebody was shown a page that says why not
)

// emitter tells Caddy's events app what happened.
type emitter struct {
	ctx caddy.Context // of the Handler, which is the events' origin
	app *caddyevents.App
}

func newEmitter(ctx caddy.Context) (emitter, error) {
	app, err := ctx.App("events")
	if err != nil {
		return emitter{}, err
	}
	return emitter{ctx, app.(*caddyevents.App)}, nil
}

// decision emits the event that d is, if it is one and somebody listens. matters says
// that a person saw it.
func (e emitter) decision(site string, d *casauth.Decision, n *note, matters bool) {
	name := ""
	switch {
	case d.Event == casauth.LoggedIn:
		name = eventLogin
	case d.Event == casauth.LoggedOut && d.Session != nil, d.Ended:
		name = eventLogout
	case d.Action == casauth.Refuse && matters:
		name = eventRefused
	}
	if name == "" || !e.app.ShouldEmit(name) {
		return
	}
	e.app.Emit(e.ctx, name, map[string]any{
		"site": site, "person": n.Person, "espace": n.Espace, "reason": n.Reason, "code": n.Code, "trip": n.Trip,
	})
}
