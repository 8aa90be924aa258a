package pages

import (
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// view is what page.html is filled with.
type view struct {
	Lang, Tone           string
	Style                template.CSS
	Label                labels
	Prefix               string // before the title where a form has errors
	Title, Because       string
	Lead, Next           string
	Retry, Action        string
	Minor                bool // the link is a way out, not the thing to do
	LogoutPath           string
	Form                 *form
	Admin                []piece
	DetailLabel, Detail  string
	Code, Date, DateTime string
}

// piece is a stretch of an administrator's text, shown as code or not.
type piece struct {
	Text string
	Code bool
}

// form is the form of AskIdentifier.
type form struct {
	Action string
	Hidden map[string]string
	Error  string
	Tries  string
	Rule   string // that all fields are required
	Fields []input
}

// input is one labelled field of the form.
type input struct {
	Name, Label, Hint, Error, Value string
	Autocomplete, Mode, Capitals    string
	Focus                           bool
}

// DescribedBy lists the ids that explain the field: its error is read out first.
func (i input) DescribedBy() string {
	if i.Error != "" {
		return i.Name + "-error " + i.Name + "-hint"
	}
	return i.Name + "-hint"
}

func (t *tongue) view(p Page) view {
	w, because := t.say(p)
	v := view{
		Lang: t.tag, Tone: kinds[p.Kind].tone, Style: template.CSS(style), Label: t.labels,
		Title: w.Title, Lead: w.Lead, Because: because, Next: w.Next,
		Retry: address(p.Retry), Action: w.Action, Minor: p.minor(),
		Admin: pieces(w.Admin), DetailLabel: w.Detail, Detail: visible(p.Detail),
		Code: visible(p.Code), Date: t.date(p.Time), DateTime: p.Time.Format(time.RFC3339),
	}
	v.Label.Code = t.typeset(v.Label.Code)
	if p.logout() {
		v.LogoutPath = LogoutPath
	}
	if p.Kind == AskIdentifier {
		v.Form = t.form(p)
		if p.Ask.failed() {
			v.Prefix = t.typeset(t.labels.ErrorTitle)
		}
	}
	return v
}

// minor tells whether the link is only a way out: what helps is the school, or
// the page's own button, or to leave.
func (p Page) minor() bool {
	switch p.Kind {
	case UnknownIdentifier, LoggedOut, LogoutConfirm, AskIdentifier, AskLocked:
		return true
	}
	switch p.Cause {
	case CauseService, CausePerson, CauseConflict, CauseAmbiguous, CauseLogoutMessage:
		return true
	}
	return false
}

func (t *tongue) form(p Page) *form {
	ask, label := p.Ask, t.labels
	f := &form{Action: address(ask.Action), Hidden: ask.Hidden, Error: t.objection(p, ask.Error, "")}
	switch {
	case ask.TriesLeft == 1:
		f.Tries = label.TriesOne
	case ask.TriesLeft > 1:
		f.Tries = strings.ReplaceAll(label.TriesMany, "{tries}", strconv.Itoa(ask.TriesLeft))
	}
	f.Fields = []input{{
		Name: FieldIdentifier, Label: label.Identifier, Hint: label.IdentifierHint,
		Value: ask.Identifier.Value, Error: t.objection(p, ask.Identifier.Error, ask.Identifier.Value),
		Autocomplete: "off", Mode: "text", Capitals: "characters",
	}}
	f.Rule = label.OneRequired
	if !ask.ProofKnown {
		f.Rule = label.AllRequired
		f.Fields = append(f.Fields, input{
			Name: FieldLastName, Label: label.LastName, Hint: label.LastNameHint,
			Value: ask.LastName.Value, Error: t.objection(p, ask.LastName.Error, ""),
			Autocomplete: "family-name", Mode: "text", Capitals: "words",
		}, input{
			Name: FieldBirthDate, Label: label.BirthDate, Hint: label.BirthDateHint,
			Value: ask.BirthDate.Value, Error: t.objection(p, ask.BirthDate.Error, ""),
			Autocomplete: "bday", Mode: "text", Capitals: "none",
		})
	}
	for i := range f.Fields {
		// Without a script, autofocus is what takes a person to the error.
		if f.Fields[i].Error != "" {
			f.Fields[i].Focus = true
			break
		}
	}
	return f
}

// objection is the sentence for an error in what was typed.
func (t *tongue) objection(p Page, e AskError, typed string) string {
	if e == "" {
		return ""
	}
	chars := foreign(typed)
	if e == AskAlphabet && chars == "" {
		e = AskMismatch
	}
	text, ok := t.errors[e]
	if !ok {
		text = t.errors[AskMismatch]
	}
	return strings.NewReplacer("{chars}", chars, "{count}", strconv.Itoa(utf8.RuneCountInString(squeezed(typed)))).
		Replace(t.filler(p)(text))
}

// pieces splits a text of ours at its backquotes.
func pieces(text string) []piece {
	var found []piece
	for i, s := range strings.Split(text, "`") {
		if s != "" {
			found = append(found, piece{s, i%2 == 1})
		}
	}
	return found
}

// address lets through what a link of ours may lead to: a path of this site, or
// http and https. A second slash or a backslash would make a path another host.
func address(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	switch {
	case u.Scheme == "" && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && !strings.Contains(s, `\`):
		return s
	case (u.Scheme == "https" || u.Scheme == "http") && u.Host != "":
		return s
	}
	return ""
}

// maxDetail is how many bytes of a detail are shown; a service to declare is shorter.
const maxDetail = 2048

// visible shows what is there: control characters and those that turn the
// writing direction could make a service look like another.
func visible(s string) string {
	if len(s) > maxDetail {
		s = s[:maxDetail] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}
