package pages

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// samples is one page of every kind and cause, and of every state of the form,
// each with all that can be passed in.
func samples() map[string]Page {
	full := Page{
		Code: "K7PW-2MH", Retry: "/pronote/eleve.html?fd=1", RetryAfter: 90 * time.Second,
		Time: time.Date(2026, time.March, 1, 14, 5, 9, 0, time.FixedZone("CET", 3600)),
	}
	details := map[Kind]string{
		UnknownIdentifier: "idPronote, ENTPersonIdPronote",
		ENTUnavailable:    "https://cas.ent-exemple.fr/samlValidate",
		ENTUnreadable:     "https://cas.ent-exemple.fr/samlValidate",
		ServiceNotAllowed: "https://ailleurs.example/pronote/",
		WrongProfile:      "National_1",
		BadRequest:        "/pronote/eleve.html%2f..",
	}
	all := map[string]Page{}
	for kind := range kinds {
		p := full
		p.Kind, p.Detail = kind, details[kind]
		p.Espace, p.Own = "professeurs", "eleves"
		all[string(kind)] = p
	}
	for cause := range french.causes {
		p := full
		p.Kind, p.Cause = LoginLoop, cause
		switch cause {
		case CauseService:
			p.Detail = "https://pronote.college-exemple.fr/pronote/eleve.html?fd=1"
		case CauseTicket:
			p.Detail = "INVALID_TICKET"
		case CauseConflict, CauseAmbiguous:
			p.Kind = UnknownIdentifier
		case CauseProxyTicket, CausePerson, CauseLogoutMessage:
			p.Kind = Refused
		case CauseEncodedSlash, CauseBackslash, CauseReserved, CauseDotSegment, CauseDoubleSlash,
			CauseSemicolon, CauseHash, CauseAfterPage, CauseEncoding, CauseHost:
			p.Kind = BadRequest
		}
		all[string(p.Kind)+"-"+string(cause)] = p
	}
	for _, e := range []AskError{AskEmpty, AskLength, AskAlphabet, AskDate, AskMismatch, AskUnprovable, AskWait} {
		p := full
		p.Kind = AskIdentifier
		p.Ask = Ask{
			Hidden: map[string]string{"next": "/pronote/"}, TriesLeft: 3,
			Identifier: Field{Value: "k7pw 2mh0 9dqt 4blo"}, LastName: Field{Value: "Exemple"}, BirthDate: Field{Value: "31/02/2012"},
		}
		switch e {
		case AskEmpty:
			p.Ask.Identifier, p.Ask.LastName, p.Ask.BirthDate = Field{Error: e}, Field{Error: e}, Field{Error: e}
		case AskLength, AskAlphabet:
			p.Ask.Identifier.Error = e
		case AskDate:
			p.Ask.BirthDate.Error = e
		default:
			p.Ask.Error, p.Ask.TriesLeft = e, 1
		}
		all["ask_identifier-"+string(e)] = p
	}
	p := full
	p.Kind, p.Ask.ProofKnown = AskIdentifier, true
	all["ask_identifier-proof_known"] = p
	return all
}

func render(p Page, method, acceptLanguage string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/pronote/eleve.html", nil)
	r.Header.Set("Accept-Language", acceptLanguage)
	w := httptest.NewRecorder()
	Write(w, r, p)
	return w
}

// TestWriteSamples writes every page in both languages to the folder named by
// PAGES_SAMPLES, to be looked at in a browser.
func TestWriteSamples(t *testing.T) {
	folder := os.Getenv("PAGES_SAMPLES")
	if folder == "" {
		t.Skip("PAGES_SAMPLES names no folder")
	}
	for name, p := range samples() {
		for _, tag := range []string{"fr", "en"} {
			path := filepath.Join(folder, name+"."+tag+".html")
			if err := os.WriteFile(path, render(p, http.MethodGet, tag).Body.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
