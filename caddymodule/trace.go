package caddymodule

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	traceLife = 24 * time.Hour // what is older is told to nobody
	traceSize = 10_000         // notes in each of the two rings: some 10 MB when both are full of the longest
	tracePath = 120            // bytes of a path that are remembered
	traceText = 200            // and of a cause
	// traceAround is how far from a person's trouble their other logins are still of interest.
	traceAround = 3 * time.Hour
)

// trace is this node's memory of what it decided, so that the help desk finds out
// what happened to whoever is on the phone. It is in the pool: a reload forgets
// nothing. Departures have a ring of their own, which anybody can flood who asks
// for a page and never logs in; the rest is what people lived through.
type trace struct {
	mu         sync.Mutex
	begun      time.Time
	departures ring
	rest       ring
}

func newTrace() *trace { return &trace{begun: time.Now()} }

// Destruct implements caddy.Destructor.
func (*trace) Destruct() error { return nil }

// add remembers n. departure says that a browser set out for the ENT.
func (t *trace) add(n *note, departure bool) {
	kept := *n
	kept.Path, kept.Cause = clip(n.Path, tracePath), clip(n.Cause, traceText)
	t.mu.Lock()
	defer t.mu.Unlock()
	if departure {
		t.departures.add(kept)
		return
	}
	t.rest.add(kept)
}

// clip returns a copy of the first bytes of s: one that does not hold on to the rest.
func clip(s string, most int) string {
	return strings.ToValidUTF8(strings.Clone(s[:min(len(s), most)]), "")
}

// ring keeps the latest traceSize notes.
type ring struct {
	notes []note
	next  int // the oldest, once it is full
}

func (r *ring) add(n note) {
	if len(r.notes) < traceSize {
		r.notes = append(r.notes, n)
		return
	}
	r.notes[r.next] = n
	r.next = (r.next + 1) % traceSize
}

// since is from when on r knows everything, which was begun at begun.
func (r *ring) since(begun time.Time) time.Time {
	if len(r.notes) < traceSize {
		return begun
	}
	return r.notes[r.next].Time
}

// all returns a copy of everything that may be told, oldest first, and from when on
// that is complete.
func (t *trace) all() (notes []note, since time.Time) {
	t.mu.Lock()
	notes = slices.Concat(t.departures.notes, t.rest.notes)
	since = t.rest.since(t.begun)
	t.mu.Unlock()
	oldest := time.Now().Add(-traceLife)
	if since.Before(oldest) {
		since = oldest
	}
	notes = slices.DeleteFunc(notes, func(n note) bool { return n.Time.Before(oldest) })
	slices.SortStableFunc(notes, func(a, b note) int { return a.Time.Compare(b.Time) })
	return notes, since
}

// timeline is what happened around those notes that seek finds: the logins that they
// belong to, from setting out to the end, and what else their people met with within
// the hours around. It is nil where seek finds none.
func timeline(notes []note, seek func(*note) bool) []note {
	trips, people := make(map[string]bool), make(map[string]bool)
	var from, to time.Time
	for i := range notes {
		if n := &notes[i]; seek(n) {
			if from.IsZero() {
				from = n.Time.Add(-traceAround)
			}
			to = n.Time.Add(traceAround)
			trips[n.Trip], people[n.Person] = true, true
		}
	}
	near := func(n *note) bool { return n.Time.After(from) && n.Time.Before(to) }
	delete(trips, "")
	for i := range notes {
		if trips[notes[i].Trip] {
			people[notes[i].Person] = true
		}
	}
	delete(people, "")
	for i := range notes {
		if n := &notes[i]; people[n.Person] && near(n) {
			trips[n.Trip] = true
		}
	}
	delete(trips, "")
	return slices.DeleteFunc(notes, func(n note) bool {
		return !seek(&n) && !trips[n.Trip] && (!people[n.Person] || !near(&n))
	})
}

// told is the admin API's answer.
type told struct {
	Since   time.Time `json:"since"` // from when on this node remembers everything
	Entries []note    `json:"entries"`
}

// serveTrace answers GET trace?code= and ?trip=, and POST trace with a form that holds
// user: Caddy logs addresses, and a CAS identifier is not to stand there. It is turned
// into the pseudonym here, and remembered nowhere.
func serveTrace(w http.ResponseWriter, r *http.Request, s *site) error {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	asked := r.URL.Query()
	code, trip, user := asked.Get("code"), asked.Get("trip"), r.PostFormValue("user")
	var seek func(*note) bool
	switch {
	case code != "" && trip == "" && user == "":
		written, refused := parseCode(code)
		if refused != nil {
			return refused
		}
		code = written
		seek = func(n *note) bool { return n.Code == written }
	case trip != "" && code == "" && user == "":
		seek = func(n *note) bool { return n.Trip == trip }
	case user != "" && code == "" && trip == "":
		person := s.sessions.Person(user)
		seek = func(n *note) bool { return person != "" && n.Person == person }
	default:
		return &adminError{http.StatusBadRequest, oneThing}
	}
	notes, since := s.log.trace.all()
	found := timeline(notes, seek)
	if len(found) == 0 {
		return unknown(code, since)
	}
	return answerJSON(w, told{since, found})
}

// oneThing is what to say to whoever looks for nothing, or for several things at once.
var oneThing = both{
	"say what to look for, just one of these: the code on a page, the trip in a line of the log (trip), or a CAS identifier (user; by POST in the API)",
	"indiquez ce qu’il faut chercher, une seule de ces trois choses : le code d’une page, le trajet d’une ligne du journal (trip) ou un identifiant CAS (user ; par POST dans l’API)",
}

// codeLength is without the hyphen.
const codeLength = 7

// parseCode reads a code as people write it down: in any case, with blanks or hyphens
// wherever they heard one.
func parseCode(typed string) (string, *adminError) {
	letters := strings.ToUpper(strings.Join(strings.FieldsFunc(typed, func(r rune) bool { return r == '-' || r == '‐' || r == '–' || r == ' ' || r == '\u00a0' }), ""))
	if len(letters) == codeLength && strings.Trim(letters, codeAlphabet) == "" {
		return hyphenated(letters), nil
	}
	return "", &adminError{http.StatusBadRequest, both{
		"this is no code: one has seven letters and digits, such as K7QX-3MB, and never 0, 1, I, L or O. Have it read out again.",
		"ce n’est pas un code : il compte sept lettres et chiffres, comme K7QX-3MB, et jamais 0, 1, I, L ni O. Faites-le relire."}}
}

// unknown says why something may not be found that did happen.
func unknown(code string, since time.Time) *adminError {
	at := since.Local().Format("02/01 15:04")
	if code == "" {
		return &adminError{http.StatusNotFound, both{
			"this node remembers nothing of it. Its memory begins at " + at + " (24 hours at most, and a restart empties it). With several nodes, ask the others too; the CAS identifier has to be spelled as the ENT does, capitals included.",
			"ce nœud n’en sait rien. Sa mémoire commence le " + at + " (24 heures au plus, et un redémarrage la vide). S’il y a plusieurs nœuds, interrogez aussi les autres ; l’identifiant CAS doit être écrit comme l’écrit l’ENT, majuscules comprises."}}
	}
	return &adminError{http.StatusNotFound, both{
		"this node does not know the code " + code + ". Its memory begins at " + at + " (24 hours at most, and a restart empties it): is the page older? With several nodes, ask the others too. Or has the code been misheard? It never has 0, 1, I, L or O.",
		"ce nœud ne connaît pas le code " + code + ". Sa mémoire commence le " + at + " (24 heures au plus, et un redémarrage la vide) : la page est-elle plus ancienne ? S’il y a plusieurs nœuds, interrogez aussi les autres. Ou le code a-t-il été mal noté ? Il n’a jamais de 0, 1, I, L ni O."}}
}
