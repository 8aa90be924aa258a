package caddymodule

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
)

// observer is the only place that logs, counts, remembers and emits. What it never
// tells anybody, at any level: tickets, cookies, session ids. What it tells the log at
// DEBUG alone, and nobody else: who it is.
type observer struct {
	log    *zap.Logger
	site   string // public_url's host
	root   string // of PRONOTE
	person func(user string) (pseudonym string)
	counts *counts
	trace  *trace
	events emitter
}

// newObserver returns the observer of the site of h, which is set up but for it. What
// it counts and remembers outlives the configuration.
func (h *Handler) newObserver(ctx caddy.Context) (*observer, error) {
	o := &observer{log: ctx.Logger(), site: h.label(), root: h.gate.Root, person: h.sessions.Person}
	o.counts = h.shared("counts "+o.site, func() caddy.Destructor { return newCounts() }).(*counts)
	o.trace = h.shared("trace "+h.sessions.Site, func() caddy.Destructor { return newTrace() }).(*trace)
	var err error
	if o.events, err = newEmitter(ctx); err != nil {
		return nil, err
	}
	return o, o.counts.register(ctx.GetMetricsRegistry(), o.site)
}

// passed counts a request that goes upstream, and does no more than that: it is
// nearly every one.
func (o *observer) passed(session bool) {
	if session {
		o.counts.session.Inc()
		return
	}
	o.counts.open.Inc()
}

// note is what is told of a decision.
type note struct {
	Time   time.Time `json:"time"`
	What   string    `json:"what"` // as the log says it
	Trip   string    `json:"trip,omitempty"`
	Person string    `json:"person,omitempty"` // a pseudonym
	Code   string    `json:"code,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Cause  string    `json:"cause,omitempty"`
	Espace string    `json:"espace,omitempty"`
	Path   string    `json:"path,omitempty"` // without its query, which may hold a ticket
	Rule   string    `json:"rule,omitempty"`
	Took   float64   `json:"took,omitempty"` // by the ENT, in seconds
}

// decision tells of a decision that does not pass, and returns the short code that
// stands in the log and on the page.
func (o *observer) decision(r *http.Request, d *casauth.Decision) (code string) {
	o.counts.decision(d)
	level, message := weigh(d)
	n := o.note(r, d)
	n.What = message
	o.tell(level, d, n)
	matters := level >= zapcore.InfoLevel
	if matters || n.Trip != "" {
		o.trace.add(n, d.Event == casauth.LoginStarted && d.Err == nil)
	}
	o.events.decision(o.site, d, n, matters)
	return n.Code
}

func (o *observer) note(r *http.Request, d *casauth.Decision) *note {
	n := &note{Time: time.Now(), Trip: d.Trip, Path: pathOnly(r), Rule: ruleOf(d.Resolved), Took: d.Validated.Seconds()}
	n.Espace = cmp.Or(d.Espace, pronote.Judge(n.Path, o.root).Espace).String()
	user := d.User
	if d.Session != nil {
		user = d.Session.User
		if n.Espace == "" || d.Event == casauth.LoggedIn {
			n.Espace = d.Session.Espace // a fixed service says nothing of where its login goes
		}
	}
	n.Person = o.person(user)
	if d.Err != nil {
		n.Reason = string(d.Err.Reason)
		if d.Err.Cause != nil {
			n.Cause = d.Err.Cause.Error()
		}
	}
	return n
}

// tell writes to the log what d is, and the code of its page into n.
func (o *observer) tell(level zapcore.Level, d *casauth.Decision, n *note) {
	if entry := o.log.Check(level, n.What); entry != nil {
		if (d.Action == casauth.Refuse || d.Action == casauth.Show) && level >= zapcore.InfoLevel { // a code that stands nowhere helps nobody
			n.Code = newCode()
		}
		entry.Write(fields(d, n)...)
	}
	if d.Session != nil {
		o.named(n, "user", d.Session.User, "pronote_id", d.Session.PronoteID)
	} else {
		o.named(n, "user", d.User)
	}
	o.resolved(d, n)
}

// fields are what the log says of a decision besides its message.
func fields(d *casauth.Decision, n *note) []zap.Field {
	fields := []zap.Field{zap.String("path", n.Path)}
	for _, f := range [...]struct{ name, value string }{
		{"code", n.Code}, {"reason", n.Reason}, {"cause", n.Cause}, {"about", about(d)}, {"trip", n.Trip}, {"person", n.Person}, {"rule", n.Rule},
	} {
		if f.value != "" {
			fields = append(fields, zap.String(f.name, f.value))
		}
	}
	if d.Validated > 0 {
		fields = append(fields, zap.Duration("took", d.Validated))
	}
	return fields
}

func about(d *casauth.Decision) string {
	if d.Err == nil {
		return ""
	}
	return d.Err.Public
}

// named says who it is, in a line of its own at DEBUG: Caddy may write this log to
// several places, and those that begin at INFO must not name anybody. pairs are names
// and values, in turn.
func (o *observer) named(n *note, pairs ...string) {
	var who []zap.Field
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			who = append(who, zap.String(pair[0], pair[1]))
		}
	}
	if len(who) == 0 {
		return
	}
	if entry := o.log.Check(zapcore.DebugLevel, "who that was"); entry != nil {
		entry.Write(append(who, zap.String("person", n.Person), zap.String("trip", n.Trip), zap.String("code", n.Code))...)
	}
}

// resolved warns of what somebody at the school has to look into, though the login
// itself may have gone well.
func (o *observer) resolved(d *casauth.Decision, n *note) {
	if d.Resolved == nil {
		return
	}
	person := zap.String("person", n.Person)
	if before := d.Resolved.Previous; before != "" {
		o.log.Warn("the ENT now sends another PRONOTE identifier for this person, which counts from now on: see `caddy pronote-cas directory`",
			person)
		o.named(n, "before", before, "now", d.Resolved.PronoteID)
	}
	if c := d.Resolved.Conflict; c != nil {
		o.log.Warn("two people at the ENT have one PRONOTE identifier: see `caddy pronote-cas export`",
			person, zap.String("held_by", o.person(c.HeldBy)))
		o.named(n, "user", c.User, "held_by_user", c.HeldBy, "pronote_id", c.PronoteID)
	}
}

// unheard notes that PRONOTE could not be told of a logout.
func (o *observer) unheard(err error) {
	o.log.Warn("PRONOTE was not told of a logout", zap.Error(err))
}

// weigh says how loud a decision is: what a school has to act on is a warning,
// what stops everybody is an error.
func weigh(d *casauth.Decision) (zapcore.Level, string) {
	switch d.Event {
	case casauth.LoginStarted:
		if d.Err != nil {
			return zapcore.WarnLevel, "login starts over"
		}
		return zapcore.DebugLevel, "login started"
	case casauth.LoggedIn:
		return zapcore.InfoLevel, "logged in"
	case casauth.LoggedOut:
		return zapcore.InfoLevel, "logged out"
	case casauth.SingleLogout:
		return zapcore.InfoLevel, "single logout"
	case casauth.Identified:
		return zapcore.InfoLevel, "PRONOTE identifier given"
	case casauth.TicketIssued:
		return zapcore.DebugLevel, "ticket for PRONOTE"
	case casauth.TicketValidated:
		if d.Err != nil {
			return zapcore.WarnLevel, "PRONOTE's ticket refused"
		}
		return zapcore.InfoLevel, "PRONOTE's ticket validated"
	}
	if d.Page == casauth.AskPage && d.Err != nil {
		return zapcore.InfoLevel, "PRONOTE identifier refused"
	}
	if d.Action == casauth.Show && d.Person {
		return zapcore.InfoLevel, "page shown"
	}
	if d.Action != casauth.Refuse {
		return zapcore.DebugLevel, "answered"
	}
	switch d.Err.Reason {
	case casauth.CASUnavailable, casauth.CASUnreadable, casauth.StorageUnavailable:
		return zapcore.ErrorLevel, "refused"
	case casauth.SessionRequired, casauth.NotFound, casauth.MethodNotAllowed, casauth.ForeignLogout, casauth.EarlyData,
		casauth.AmbiguousTarget, casauth.AdministrationHidden, casauth.IdentifierRequired, casauth.WrongProfile:
		if !d.Person { // pages call again and again; a person reads the code once
			return zapcore.DebugLevel, "refused"
		}
		return zapcore.InfoLevel, "refused"
	}
	return zapcore.WarnLevel, "refused"
}

// codeAlphabet has no two characters that sound or look alike on the phone.
const codeAlphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"

// newCode returns a code such as K7QX-3MB, which names one refusal.
func newCode() string {
	var letters [codeLength]byte
	_, _ = rand.Read(letters[:]) // crypto/rand never fails (Go 1.24)
	for i, b := range letters {
		letters[i] = codeAlphabet[int(b)%len(codeAlphabet)]
	}
	return hyphenated(string(letters[:]))
}

// hyphenated writes a code as it is read out.
func hyphenated(letters string) string { return letters[:4] + "-" + letters[4:] }
