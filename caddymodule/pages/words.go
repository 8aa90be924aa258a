package pages

import (
	"net/http"
	"strings"
	"time"

	"golang.org/x/text/language"
)

// words is all a page says. In Admin, what stands between backquotes is shown
// as code; braces are placeholders, filled in by [tongue.filler].
type words struct {
	Title  string // the heading
	Lead   string // what happened
	Next   string // what to do
	Action string // what the link to Page.Retry is called
	Admin  string // what the school's administrator should know; may be empty
	Detail string // what Page.Detail is
}

// why is what a cause adds: Lead follows the page's own, the others take the
// place of the page's own unless they are empty.
type why struct {
	Lead, Next, Admin, Detail string
}

// labels are the words that do not depend on the page.
type labels struct {
	Banner, Code, Admin, Logout                            string
	ErrorTitle, TriesOne, TriesMany                        string
	AllRequired, OneRequired                               string
	Identifier, IdentifierHint                             string
	LastName, LastNameHint, BirthDate, BirthDateHint       string
	Submit, AnyEspace, OwnEspace, SomeMinutes, SomeSeconds string
}

// tongue is one language. Everything in one exists in the other; a test holds that.
type tongue struct {
	tag     string
	kinds   map[Kind]words
	causes  map[Cause]why
	errors  map[AskError]string
	espaces map[string]string
	labels  labels
	date    func(time.Time) string
	wait    func(minutes int) string
	typeset func(string) string
}

// French comes first: it is what a browser gets that asks for neither.
var (
	tongues = []*tongue{&french, &english}
	matcher = language.NewMatcher([]language.Tag{language.French, language.English})
)

// speak chooses the language that the request prefers (RFC 9110 §12.5.4).
func speak(r *http.Request) *tongue {
	_, index := language.MatchStrings(matcher, r.Header.Values("Accept-Language")...)
	return tongues[index]
}

// say is what p says in this language, with its cause, typeset and filled in.
func (t *tongue) say(p Page) (words, string) {
	w, reason := t.kinds[p.Kind], t.causes[p.Cause]
	if reason.Next != "" {
		w.Next = reason.Next
	}
	if reason.Admin != "" {
		w.Admin = reason.Admin
	}
	if reason.Detail != "" {
		w.Detail = reason.Detail
	}
	fill := t.filler(p)
	because := fill(reason.Lead)
	for _, s := range []*string{&w.Title, &w.Lead, &w.Next, &w.Action, &w.Admin, &w.Detail} {
		*s = fill(*s)
	}
	return w, because
}

// filler typesets a text first and fills it in after, so that nothing passed in
// is altered or read as a placeholder.
func (t *tongue) filler(p Page) func(string) string {
	espace, ok := t.espaces[p.Espace]
	if !ok {
		espace = t.labels.AnyEspace
	}
	own, ok := t.espaces[p.Own]
	if !ok {
		own = t.labels.OwnEspace
	}
	wait := t.labels.SomeMinutes
	switch {
	case p.RetryAfter > 15*time.Second:
		wait = t.wait(int((p.RetryAfter + time.Minute - 1) / time.Minute))
	case p.RetryAfter > 0:
		wait = t.labels.SomeSeconds
	}
	values := strings.NewReplacer("{Espace}", capital(espace), "{espace}", espace, "{own}", own, "{wait}", wait)
	return func(s string) string { return values.Replace(t.typeset(s)) }
}

// capital writes the first letter of an Espace's name in upper case; all begin with ASCII.
func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
