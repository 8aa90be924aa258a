package casauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

// Unresolved says what becomes of a login whose PRONOTE identifier is not found.
type Unresolved string

const (
	DenyUnresolved Unresolved = "deny" // a page, no session
	PassUnresolved Unresolved = "pass" // a session, but no identifier upstream
	AskUnresolved  Unresolved = "ask"  // a session that opens nothing until the person has said, and proved, who it is
)

// askName is where the person is asked, below Prefix.
const askName = "identifiant"

// identify makes of an answer who it is, by name at the ENT and in PRONOTE. What
// the directory found out is nil where it was not asked.
func (g *Gate) identify(ctx context.Context, answer protocol.Answer) (Identity, *directory.Result, *Error) {
	return g.whoIs(answer, func(c directory.Claim) (directory.Result, error) { return g.People.Resolve(ctx, c) })
}

// WhoIs says who an answer of the CAS server is about, as a login with it would
// find, and leaves nothing behind; the error is nil where that person is let in.
func (g *Gate) WhoIs(ctx context.Context, answer protocol.Answer) (Identity, *Error) {
	who, _, err := g.whoIs(answer, func(c directory.Claim) (directory.Result, error) { return g.People.Look(ctx, c) })
	return who, err
}

func (g *Gate) whoIs(answer protocol.Answer, find func(directory.Claim) (directory.Result, error)) (Identity, *directory.Result, *Error) {
	who := Identity{User: answer.User, Attributes: answer.Attributes}
	if g.CASIdentifier != "" {
		values := answer.Attributes[g.CASIdentifier]
		if len(values) == 0 || values[0] == "" {
			return who, nil, &Error{Reason: UnknownPerson, Public: g.CASIdentifier,
				Cause: fmt.Errorf("the CAS server sent no attribute %q, which cas_identifier names", g.CASIdentifier)}
		}
		who.User = values[0]
	}
	how, err := find(directory.Claim{User: who.User, Attributes: who.Attributes})
	if err != nil {
		return who, nil, &Error{Reason: StorageUnavailable, Cause: err}
	}
	who.PronoteID = how.PronoteID
	switch {
	case how.Conflict != nil: // whatever `unresolved` says: it is known who it is, and somebody is wrong
		return who, &how, &Error{Reason: IdentifierConflict, Cause: errors.New("the PRONOTE identifier belongs to another CAS identifier: see `caddy pronote-cas export`")}
	case how.PronoteID != "", g.Unresolved == PassUnresolved, g.Unresolved == AskUnresolved:
		return who, &how, nil
	}
	names := strings.Join(g.Identifier, ", ")
	refused := &Error{Reason: UnknownIdentifier, Public: names,
		Cause: fmt.Errorf("the CAS server sent no PRONOTE identifier (16 characters) in attribute %s, and the directory has none for this person", names)}
	if how.Ambiguous > 1 {
		refused.Reason = AmbiguousIdentity
		refused.Cause = fmt.Errorf("name, birth date and category fit %d rows of the directory", how.Ambiguous)
	}
	return who, &how, refused
}

// pending reports whether a session opens nothing yet: its person has still to say
// who it is in PRONOTE.
func (g *Gate) pending(s *Session) bool {
	return s != nil && s.PronoteID == "" && g.Unresolved == AskUnresolved
}

// toAsk sends a person on to the form that asks, and back to target afterwards.
func (g *Gate) toAsk(target string) string {
	return g.Public.Service(AskPath(target))
}

// AskPath is where a person is asked for their PRONOTE identifier before they go on
// to target, a path and query of the site.
func AskPath(target string) string {
	return Prefix + askName + "?" + url.Values{"to": {target}}.Encode()
}

// Asking is the form that asks for the PRONOTE identifier, as it has to look.
type Asking struct {
	To         string // where the person wanted to go: a request target
	ProofKnown bool   // the ENT sent last name and birth date: they need not be typed
	// What was typed, and what is wrong with it; nil on the first look.
	Code, LastName, BirthDate string
	Refused                   *directory.AskError
}

// ask shows the form and takes what was typed. Who proves their identifier logs in
// anew: a session never changes, so one that carries it has to be made, and the ENT,
// which knows the browser, makes that a matter of two redirects.
func (g *Gate) ask(ctx context.Context, v *Visit) Decision {
	params, _ := url.ParseQuery(v.query)
	form := &Asking{To: g.local(params.Get("to"))}
	switch {
	case v.storage() != nil:
		return refuse(v, StorageUnavailable, v.noSession)
	case v.session == nil && v.Request.Method == http.MethodPost:
		return refuse(v, SessionRequired, nil)
	case v.session == nil, !g.pending(v.session):
		return Decision{Action: Redirect, Location: g.Public.Service(form.To)}
	}
	claim := directory.Claim{User: v.session.User, Attributes: v.session.Attributes}
	form.ProofKnown = g.People.ProofSent(claim)
	d := Decision{Action: Show, Page: AskPage, Person: navigates(v.Request), Session: v.session, Asking: form}
	switch {
	case reads(v.Request): // the school may have put things right meanwhile
		if result, err := g.People.Resolve(ctx, claim); err == nil && result.PronoteID != "" {
			return g.identified(ctx, v, form, &result)
		}
		return d
	case v.Request.Method != http.MethodPost:
		return refuse(v, MethodNotAllowed, nil)
	case !g.sameOrigin(v.Request), !readAsking(v.Request, form): // nobody else must spend a person's tries
		return d
	}
	result, err := g.People.Ask(ctx, directory.Attempt{Claim: claim, Code: form.Code, LastName: form.LastName, BirthDate: form.BirthDate})
	d.Resolved = &result
	if errors.As(err, &form.Refused) {
		d.Err = &Error{Reason: askReason(form.Refused.Kind), Cause: form.Refused}
		return d
	}
	if err != nil {
		return refuse(v, StorageUnavailable, err)
	}
	return g.identified(ctx, v, form, &result)
}

// identified ends the session that opened nothing; the next login carries what the
// directory now knows.
func (g *Gate) identified(ctx context.Context, v *Visit, form *Asking, how *directory.Result) Decision {
	d := Decision{Action: Redirect, Event: Identified, Session: v.session, Resolved: how, Location: g.Public.Service(form.To),
		Cookies: []http.Cookie{{Name: g.CookieName, MaxAge: -1}}}
	if err := g.sessions.End(ctx, v.session); err != nil {
		d.Err = &Error{Reason: StorageUnavailable, Cause: err} // ended here; the store is told when it is back
	}
	return d
}

// askReason sorts what an attempt was refused for: what was typed, or how often.
func askReason(kind directory.AskKind) Reason {
	switch kind {
	case directory.AskWait, directory.AskLocked:
		return TooManyTries
	}
	return IdentifierRefused
}

// sameOrigin reports whether one of our own pages made the browser send r: a
// neighbour below the same domain, whom the session's cookie goes with, is not one.
func (g *Gate) sameOrigin(r *http.Request) bool {
	if site := header(r, "Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	return !g.foreign(r)
}

// maxAsking is the largest form that is read; a filled one has 200 bytes.
const maxAsking = 8 << 10

func readAsking(r *http.Request, form *Asking) bool {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAsking+1))
	if err != nil || len(body) > maxAsking {
		return false
	}
	typed, err := url.ParseQuery(string(body))
	if err != nil {
		return false
	}
	form.Code, form.LastName, form.BirthDate = typed.Get("identifier"), typed.Get("last_name"), typed.Get("birth_date")
	return true
}

// local returns target where it is one of this site, and PRONOTE's first page where
// it is none: a form must not become an open redirect.
func (g *Gate) local(target string) string {
	path, query, _ := strings.Cut(target, "?")
	switch judged := pronote.Judge(target, g.Root); {
	case !strings.HasPrefix(path, "/"), judged.Kind == pronote.Ambiguous, judged.Kind == pronote.Administration:
		return g.Root
	case strings.HasPrefix(path, Prefix) && (path != Prefix+"login" || query == ""):
		return g.Root
	}
	return strings.TrimPrefix(g.Public.Service(target), g.Public.String())
}

// withhold keeps a session that opens nothing yet, or not this, from opening it.
// ok is false where there is nothing to withhold.
func (g *Gate) withhold(v *Visit, asked, upstream pronote.Target) (d Decision, ok bool) {
	if g.pending(v.session) {
		if navigates(v.Request) {
			return Decision{Action: Redirect, Location: g.toAsk(g.target(v))}, true
		}
		d = refuse(v, IdentifierRequired, nil)
		d.Location = g.toAsk(g.wayBack(v.Request))
		return d, true
	}
	for _, target := range [...]pronote.Target{asked, upstream} {
		if !g.Require[target.Espace].met(v.session.Attributes) {
			return g.wrongProfile(v, v.session, target.Espace), true
		}
		if target.Misnumbered() && g.requires() {
			return refuse(v, AmbiguousTarget, errors.New("the number of the Espace is not written as PRONOTE's pages write it")), true
		}
	}
	return Decision{}, false
}

// requires reports whether some Espace is for some people alone.
func (g *Gate) requires() bool {
	return slices.ContainsFunc(g.Require[:], func(r Requirement) bool { return r.Attribute != "" })
}

// toOwn sends somebody who asks for the page commune on to their own Espace, where
// what the ENT says of them leaves just one.
func (g *Gate) toOwn(v *Visit, asked pronote.Target) (Decision, bool) {
	if asked.Kind != pronote.Page || asked.Path != "" || v.query != "" || v.Request.Method != http.MethodGet || !navigates(v.Request) {
		return Decision{}, false
	}
	own := g.own(v.session)
	return Decision{Action: Redirect, Session: v.session, Location: g.Public.Service(g.Root + own.Page())}, own != pronote.NoEspace
}

// Requirement is what somebody has to be for an Espace, by what the ENT says.
type Requirement struct {
	Attribute string   // "": nothing is required
	Values    []string // one of them, compared without case, accents and punctuation
}

// met reports whether one of the attribute's values is one of those required.
func (r Requirement) met(attributes map[string][]string) bool {
	if r.Attribute == "" {
		return true
	}
	for _, sent := range attributes[r.Attribute] {
		for _, value := range directory.Several(sent) {
			folded := directory.Fold(value)
			for _, wanted := range r.Values {
				if folded != "" && folded == directory.Fold(wanted) {
					return true
				}
			}
		}
	}
	return false
}

// own is the one Espace whose requirement s meets; NoEspace where there are none or
// several.
func (g *Gate) own(s *Session) (own pronote.Espace) {
	for espace, r := range g.Require {
		if r.Attribute == "" || espace == int(pronote.Commune) || !r.met(s.Attributes) {
			continue
		}
		if own != pronote.NoEspace {
			return pronote.NoEspace
		}
		own = pronote.Espace(espace)
	}
	return own
}

func (g *Gate) wrongProfile(v *Visit, s *Session, espace pronote.Espace) Decision {
	d := refuse(v, WrongProfile, nil)
	d.Session, d.Espace, d.Own = s, espace, g.own(s)
	d.Err.Public = g.Require[espace].Attribute
	d.Location = g.Home()
	if d.Own != pronote.NoEspace {
		d.Location = g.Public.Service(g.Root + d.Own.Page())
	}
	return d
}
